//! A deployment on one machine: its data folder, how it is made, and the processes that serve it.

mod init;
mod layout;
mod lock;
mod people;
mod ready;
mod supervisor;

pub(crate) use init::{add_signature, create, one_time_code};
pub(crate) use layout::{Layout, VERSION, read_trust};
pub(crate) use lock::{DataLock, PartLock, ServerLock};
pub(crate) use people::{Admission, Authenticator, admit, enrol};
pub(crate) use ready::{answers, wait_until_ready};
pub(crate) use supervisor::{Part, Supervisor, Watch};
