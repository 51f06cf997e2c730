use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The scheme of a software TPM's socket.
const SWTPM: &str = "swtpm:";

/// Where a TPM is: a character device, or the socket of a software TPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TpmAddress {
    /// A device of the kernel. It should be one with the kernel's resource manager: `/dev/tpmrm0`.
    Device(PathBuf),
    /// The Unix socket of `swtpm socket --server type=unixio,path=…`: `swtpm:PATH`.
    Unix(PathBuf),
    /// The TCP socket of `swtpm socket --server type=tcp,…`: `swtpm:HOST:PORT`.
    Tcp(String),
}

/// Why a text is no address of a TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a TPM: expected an absolute path, swtpm:/PATH or swtpm:HOST:PORT")]
pub struct TpmAddressError;

impl FromStr for TpmAddress {
    type Err = TpmAddressError;

    fn from_str(text: &str) -> Result<Self, TpmAddressError> {
        match text.strip_prefix(SWTPM) {
            None if text.starts_with('/') => Ok(Self::Device(text.into())),
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(server) => match server.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Self::Tcp(server.to_owned()))
                }
                _ => Err(TpmAddressError),
            },
            None => Err(TpmAddressError),
        }
    }
}

impl fmt::Display for TpmAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "{}", path.display()),
            Self::Unix(path) => write!(f, "{SWTPM}{}", path.display()),
            Self::Tcp(server) => write!(f, "{SWTPM}{server}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_device_or_a_socket_and_nothing_else() {
        for good in [
            "/dev/tpmrm0",
            "swtpm:/run/swtpm.sock",
            "swtpm:127.0.0.1:2321",
        ] {
            let read: TpmAddress = good.parse().unwrap();
            assert_eq!(read.to_string(), good);
        }
        for bad in [
            "",
            "tpmrm0",
            "swtpm:",
            "swtpm:sock",
            "swtpm:host:",
            "swtpm::1",
            "swtpm:host:65536",
            "tcp:host:1",
        ] {
            assert_eq!(bad.parse::<TpmAddress>(), Err(TpmAddressError), "{bad}");
        }
    }
}
