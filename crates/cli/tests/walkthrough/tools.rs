use std::path::{Path, PathBuf};

/// The clients and servers that `scripts/e2e-tools` installs.
#[derive(Debug)]
pub(crate) struct Tools(PathBuf);

impl Tools {
    /// Nothing, said aloud, where they are not installed. In CI that is a failure.
    pub(crate) fn find() -> Option<Self> {
        let target = Path::new(env!("CARGO_BIN_EXE_chancery")).ancestors().nth(2);
        let folder = target.unwrap().join("e2e-tools");
        let missing =
            ["python", "npm", "json-tokens"].map(|name| folder.join(format!("{name}.installed")));
        let missing = missing.iter().find(|mark| !mark.exists());
        let Some(missing) = missing else {
            return Some(Self(folder));
        };
        let said = format!("{} is missing; run scripts/e2e-tools", missing.display());
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "{said}"
        );
        println!("skipped: {said}");
        None
    }

    /// The folder of the Python SDK.
    pub(crate) fn python_sdk(&self) -> String {
        self.shown("python")
    }

    /// A Node that is new enough.
    pub(crate) fn node(&self) -> String {
        self.shown("bin/node")
    }

    /// The folder of the packages of npm.
    pub(crate) fn npm(&self) -> String {
        self.shown("npm")
    }

    pub(crate) fn inspector(&self) -> String {
        self.package("inspector/clients/launcher/build/index.js")
    }

    pub(crate) fn filesystem_server(&self) -> String {
        self.package("server-filesystem/dist/index.js")
    }

    pub(crate) fn memory_server(&self) -> String {
        self.package("server-memory/dist/index.js")
    }

    fn package(&self, path: &str) -> String {
        self.shown(&format!("npm/node_modules/@modelcontextprotocol/{path}"))
    }

    fn shown(&self, path: &str) -> String {
        let path = self.0.join(path);
        assert!(
            path.exists(),
            "{}: remove target/e2e-tools and install again",
            path.display()
        );
        path.to_str().unwrap().to_owned()
    }
}

/// The program that checks a log with Go's own packages.
pub(crate) fn go_checker() -> Option<PathBuf> {
    installed("go-tlog").map(|folder| folder.join("bin/tlog-check"))
}

/// The folder of a package of PyPI.
pub(crate) fn python_package(name: &str) -> Option<PathBuf> {
    installed(name).map(|folder| folder.join(name))
}

/// The folder of the tools, where this one is there. Nothing, said aloud, where it is not; in CI that
/// is a failure, unless it could not be had.
fn installed(name: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_chancery")).ancestors().nth(2);
    let folder = target.unwrap().join("e2e-tools");
    if folder.join(format!("{name}.installed")).exists() {
        return Some(folder);
    }
    if folder.join(format!("{name}.unavailable")).exists() {
        println!("skipped: {name} could not be had; see scripts/e2e-tools");
        return None;
    }
    let said = format!("{name} is missing; run scripts/e2e-tools");
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "{said}"
    );
    println!("skipped: {said}");
    None
}

/// For pip: the wheels that `scripts/python-tools` has fetched, and no network. Nothing where there
/// are none; pip then asks PyPI as a reader's does.
pub(crate) fn wheels() -> Vec<(&'static str, PathBuf)> {
    let target = Path::new(env!("CARGO_BIN_EXE_chancery")).ancestors().nth(2);
    let wheels = target.unwrap().join("python-tools/wheels");
    if !wheels.join("fetched").exists() {
        return Vec::new();
    }
    vec![("PIP_NO_INDEX", "1".into()), ("PIP_FIND_LINKS", wheels)]
}

/// The Python that runs, and the folder that it lives in.
pub(crate) fn python(place: &super::place::Place) -> (String, String) {
    let ask = "import os, sys; print(os.path.realpath(sys.executable), sys.base_prefix)";
    let mut command = place.command("python3");
    let said = super::place::Ran::to_the_end(command.args(["-c", ask]), place).ok();
    let (python, prefix) = said.trim().split_once(' ').unwrap();
    (python.to_owned(), prefix.to_owned())
}
