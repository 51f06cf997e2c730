use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Longest address that is read, in bytes.
const MAX_BYTES: usize = 4096;

/// What may stand behind the `?`.
const PARAMETERS: [&str; 7] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "application_name",
];

/// Where a PostgreSQL database is: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`.
///
/// Guarantees that what is asked and answered is read by nobody on the way: the host is this
/// machine (a Unix socket, `localhost`, a loopback address), or TLS with a verified certificate and
/// name (`sslmode=verify-full`; `sslrootcert=FILE` names the authority) is demanded. It shows no
/// password, in `Debug` neither.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresAddress {
    url: String,
    place: String,
}

/// Why an address of a database is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is longer than any address.
    #[error("an address of a database has at most {MAX_BYTES} bytes")]
    TooLong,
    /// It is of another kind.
    #[error("an address of a database begins with postgres:// or postgresql://")]
    Scheme,
    /// It cannot be read. What was read is not repeated: it may hold a password.
    #[error("this is no address of a database; write postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Malformed,
    /// A sign in it could mean two things.
    #[error(
        "write `@`, `/`, `:`, `?` and `#` of a user's name or a password as %40, %2F, %3A, %3F and %23"
    )]
    Unescaped,
    /// It has a parameter that is not known.
    #[error("an address of a database has the parameters {} and no others", PARAMETERS.join(", "))]
    Parameter,
    /// It names no database.
    #[error("the address names no database; write postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    NoDatabase,
    /// The host is another machine, and the connection could be read or answered by somebody else.
    #[error("{place}: a database on another machine needs `?sslmode=verify-full` in its address")]
    InClear {
        /// Where the database is.
        place: String,
    },
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("{}: others may read it; `chmod 600` it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file does not hold an address.
    #[error("{}: {source}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<AddressError>,
    },
}

impl PostgresAddress {
    /// Reads an address from a file that its owner alone may read: one line.
    pub fn read(path: &Path) -> Result<Self, AddressError> {
        use std::os::unix::fs::PermissionsExt as _;
        let failed = |source| AddressError::File {
            path: path.to_owned(),
            source,
        };
        let mode = std::fs::metadata(path)
            .map_err(failed)?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(AddressError::Exposed {
                path: path.to_owned(),
            });
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        text.trim_end().parse().map_err(|source| AddressError::In {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Where the database is, without who asks: `postgres://HOST:PORT/DATABASE`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The address with its password.
    pub(crate) fn expose(&self) -> &str {
        &self.url
    }
}

impl FromStr for PostgresAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > MAX_BYTES {
            return Err(AddressError::TooLong);
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(AddressError::Scheme);
        }
        if text.contains(|sign: char| sign.is_control() || sign.is_whitespace()) {
            return Err(AddressError::Malformed);
        }
        check_parts(text)?;
        let options: PgConnectOptions = text.parse().map_err(|_| AddressError::Malformed)?;
        let database = options.get_database().ok_or(AddressError::NoDatabase)?;
        let host = options.get_socket().map_or_else(
            || format!("{}:{}", options.get_host(), options.get_port()),
            |socket| socket.display().to_string(),
        );
        let place = format!("postgres://{host}/{database}");
        let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
        if !verified && options.get_socket().is_none() && !is_local(options.get_host()) {
            return Err(AddressError::InClear { place });
        }
        Ok(Self {
            url: text.to_owned(),
            place,
        })
    }
}

/// Refuses what another reader could split otherwise: a sign of a password that is not escaped would end
/// up in the name of the host or the database, and in what is said of them.
fn check_parts(text: &str) -> Result<(), AddressError> {
    let url = url::Url::parse(text).map_err(|_| AddressError::Malformed)?;
    let name = url.path().strip_prefix('/').unwrap_or_default();
    let is_plain = |part: &str| !part.contains(['@', '/', ':', '?', '#']);
    let known = url
        .query_pairs()
        .all(|(key, _)| PARAMETERS.contains(&&*key));
    if !is_plain(name) || url.fragment().is_some() || text.matches('@').count() > 1 {
        return Err(AddressError::Unescaped);
    }
    if !known {
        return Err(AddressError::Parameter);
    }
    Ok(())
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("PostgresAddress")
            .field(&self.place)
            .finish()
    }
}

/// Whether a host is this machine. A path is a Unix socket.
fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    host == "localhost" || host.starts_with('/') || address.is_ok_and(|one| one.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{AddressError, PostgresAddress};

    #[test]
    fn a_database_on_this_machine_or_behind_verified_tls_is_taken() {
        for (text, place) in [
            (
                "postgres://u:secret@localhost/c",
                "postgres://localhost:5432/c",
            ),
            (
                "postgres://u:secret@127.0.0.1:5433/c",
                "postgres://127.0.0.1:5433/c",
            ),
            (
                "postgres://u:secret@[::1]:5433/c",
                "postgres://[::1]:5433/c",
            ),
            ("postgres://u@%2Frun%2Fpg/c", "postgres:///run/pg/c"),
            (
                "postgresql://u:secret@db.example.org/c?sslmode=verify-full",
                "postgres://db.example.org:5432/c",
            ),
        ] {
            let address: PostgresAddress = text.parse().unwrap();
            assert_eq!(address.place(), place, "{text}");
            assert!(!format!("{address:?}").contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_connection_that_others_could_read_or_answer_is_refused() {
        for mode in [
            "",
            "?sslmode=disable",
            "?sslmode=prefer",
            "?sslmode=require",
            "?sslmode=verify-ca",
        ] {
            for host in [
                "db.example.org",
                "192.0.2.7",
                "localhost.example.org",
                "127.example.org",
            ] {
                let text = format!("postgres://u:secret@{host}/c{mode}");
                let refused = text.parse::<PostgresAddress>().unwrap_err();
                assert!(matches!(refused, AddressError::InClear { .. }), "{text}");
                let said = format!("{refused} {refused:?}");
                assert!(
                    said.contains("verify-full") && !said.contains("secret"),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        let long = format!("postgres://u:secret@localhost/{}", "c".repeat(5000));
        for text in [
            "",
            "secret",
            "mysql://u:secret@localhost/c",
            "sqlite:///secret",
            "postgres:/u:secret@localhost/c",
            "postgres://u:secret@localhost:port/c",
            "postgres://u:secret@localhost/c?sslmode=secret",
            "postgres://u:secret@local host/c",
            "postgres://u:secret@localhost/c\n",
            "postgres://u:secret@localhost",
            "postgres://u:/secret@localhost/c",
            "postgres://u:12/secret@localhost/c",
            "postgres://u:/secret@db.example.org/c?sslmode=verify-full",
            "postgres://u:se@cret@localhost/c",
            "postgres://u:?secret@localhost/c",
            "postgres://u:#secret@localhost/c",
            "postgres://u@localhost/c?password=secret",
            "postgres://u@localhost/c?passwd=secret",
            "postgres://u@localhost/c?secret",
            "postgres://u@localhost/secret:c",
            "postgres://u@localhost/c/secret",
            &long,
        ] {
            let refused = text.parse::<PostgresAddress>().unwrap_err();
            let said = format!("{refused} {refused:?}");
            assert!(!said.contains("secret"), "{text}: {said}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_holds_no_address() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database");
        assert!(matches!(
            PostgresAddress::read(&path),
            Err(AddressError::File { .. })
        ));
        std::fs::write(&path, "postgres://u:secret@localhost/c\n").unwrap();
        for (mode, taken) in [
            (0o644, false),
            (0o640, false),
            (0o604, false),
            (0o600, true),
            (0o400, true),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match PostgresAddress::read(&path) {
                Ok(_) => assert!(taken, "{mode:o}"),
                Err(error) => {
                    assert!(!taken, "{mode:o}");
                    assert!(matches!(error, AddressError::Exposed { .. }), "{error}");
                }
            }
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "secret\n").unwrap();
        let refused = PostgresAddress::read(&path).unwrap_err().to_string();
        assert!(
            refused.contains("database") && !refused.contains("secret"),
            "{refused}"
        );
    }
}
