use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tpm2_protocol::TpmWriter;
use tpm2_protocol::basic::TpmHandle;
use tpm2_protocol::constant::TPM_MAX_COMMAND_SIZE;
use tpm2_protocol::data::{TpmCc, TpmRc, TpmRcBase, TpmRh, TpmSt, TpmaSession, TpmsAuthCommand};
use tpm2_protocol::frame::{TpmFrame, TpmResponse, TpmUnmarshalBody, tpm_marshal_command};

use super::TpmAddress;

/// How long one command may take: some TPMs need many seconds for an RSA key.
const ANSWER: Duration = Duration::from_secs(90);

/// Bytes of the header of a response, of which the length is at 2 to 6.
const HEADER_BYTES: usize = 10;

/// How often a TPM that is busy is asked again, and after how long.
const RETRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Why a TPM did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// The device or the socket is not there, or breaks off.
    #[error("{address}: {source}")]
    Reach {
        /// Where the TPM was looked for.
        address: TpmAddress,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such device.
    #[error("{address}: no such device: this host shows no TPM there; name one with --tpm")]
    Absent {
        /// Where the TPM was looked for.
        address: TpmAddress,
    },
    /// The TPM refused a command.
    #[error("the tpm refuses {command:?}: {code}")]
    Refused {
        /// The command.
        command: TpmCc,
        /// What it said.
        code: TpmRc,
    },
    /// The TPM waits to be started, which is the platform's part.
    #[error("the tpm is not started: a software tpm needs --flags not-need-init,startup-clear")]
    NotStarted,
    /// What was answered is not what a TPM answers.
    #[error("the tpm's answer is not readable: {0}")]
    Wire(tpm2_protocol::TpmError),
    /// What the TPM holds or answers is not acceptable.
    #[error("the tpm's answer is not acceptable")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A TPM, one command after the other.
#[derive(Debug)]
pub(super) struct Device {
    address: TpmAddress,
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    /// Answers as a whole in one read.
    Device(File),
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Device {
    pub(super) fn open(address: &TpmAddress) -> Result<Self, TpmError> {
        let stream = Stream::open(address).map_err(|source| {
            let device = matches!(address, TpmAddress::Device(_));
            let address = address.clone();
            match source.kind() {
                io::ErrorKind::NotFound if device => TpmError::Absent { address },
                _ => TpmError::Reach { address, source },
            }
        })?;
        Ok(Self {
            address: address.clone(),
            stream,
        })
    }

    /// A command that needs no authorisation.
    pub(super) fn plain<R: TpmUnmarshalBody>(
        &mut self,
        command: &impl TpmFrame,
    ) -> Result<R, TpmError> {
        self.run(command, TpmSt::NoSessions, &[])
    }

    /// A command with its authorisations.
    pub(super) fn authorised<R: TpmUnmarshalBody>(
        &mut self,
        command: &impl TpmFrame,
        sessions: &[TpmsAuthCommand],
    ) -> Result<R, TpmError> {
        self.run(command, TpmSt::Sessions, sessions)
    }

    fn run<R: TpmUnmarshalBody>(
        &mut self,
        command: &impl TpmFrame,
        tag: TpmSt,
        sessions: &[TpmsAuthCommand],
    ) -> Result<R, TpmError> {
        let mut bytes = vec![0; TPM_MAX_COMMAND_SIZE];
        let mut writer = TpmWriter::new(&mut bytes);
        tpm_marshal_command(command, tag, sessions, &mut writer).map_err(TpmError::Wire)?;
        let length = writer.len();
        bytes.truncate(length);
        for _ in 0..RETRIES {
            let answer = self.exchange(&bytes)?;
            let response = TpmResponse::cast(&answer).map_err(TpmError::Wire)?;
            match response.rc().map_err(TpmError::Wire)? {
                TpmRc::Fmt0(TpmRcBase::Success) => {
                    return response.unmarshal().map_err(TpmError::Wire);
                }
                TpmRc::Warn(TpmRcBase::Retry | TpmRcBase::Yielded | TpmRcBase::Testing) => {
                    std::thread::sleep(PAUSE);
                }
                TpmRc::Fmt0(TpmRcBase::Initialize) => return Err(TpmError::NotStarted),
                code => {
                    let command = command.cc();
                    return Err(TpmError::Refused { command, code });
                }
            }
        }
        Err(TpmError::Answer("it is busy for too long".into()))
    }

    fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, TpmError> {
        let answer = self.stream.exchange(command);
        answer.map_err(|source| TpmError::Reach {
            address: self.address.clone(),
            source,
        })
    }
}

impl Stream {
    fn open(address: &TpmAddress) -> io::Result<Self> {
        match address {
            TpmAddress::Device(path) => {
                let file = File::options().read(true).write(true).open(path)?;
                Ok(Self::Device(file))
            }
            TpmAddress::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                Ok(Self::Unix(stream))
            }
            TpmAddress::Tcp(server) => {
                let stream = TcpStream::connect(server)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER))?;
                stream.set_write_timeout(Some(ANSWER))?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    fn exchange(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Device(file) => {
                file.write_all(command)?;
                let mut answer = vec![0; TPM_MAX_COMMAND_SIZE];
                let length = file.read(&mut answer)?;
                answer.truncate(length);
                Ok(answer)
            }
            Self::Unix(stream) => over(stream, command),
            Self::Tcp(stream) => over(stream, command),
        }
    }
}

/// A command and its answer, of the length that its header says.
fn over(stream: &mut (impl Read + Write), command: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(command)?;
    let mut answer = vec![0; HEADER_BYTES];
    stream.read_exact(&mut answer)?;
    let length = answer.get(2..6).and_then(|length| length.try_into().ok());
    let length = u32::from_be_bytes(length.unwrap_or_default());
    let length = usize::try_from(length).ok();
    let length = length.filter(|length| (HEADER_BYTES..=TPM_MAX_COMMAND_SIZE).contains(length));
    let length = length.ok_or_else(|| io::Error::other("an answer of an impossible length"))?;
    answer.resize(length, 0);
    let rest = answer.get_mut(HEADER_BYTES..).unwrap_or_default();
    stream.read_exact(rest)?;
    Ok(answer)
}

/// The authorisation by an empty password.
pub(super) fn no_password() -> TpmsAuthCommand {
    TpmsAuthCommand {
        session_handle: TpmHandle::new(TpmRh::Pw.value()),
        ..TpmsAuthCommand::default()
    }
}

/// The authorisation by a policy session, which ends with it.
pub(super) fn by_policy(session: TpmHandle) -> TpmsAuthCommand {
    TpmsAuthCommand {
        session_handle: session,
        session_attributes: TpmaSession::empty(),
        ..TpmsAuthCommand::default()
    }
}
