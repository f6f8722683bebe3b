//! The resolver of netavark, beside which ours is measured.
//!
//! Its configuration is a file for each network: the addresses that it listens on, then a line for each container, `id ipv4
//! ipv6 names`. It answers those clients whose address is one of a container's, and sees their networks only.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pontoon_netlink::netns::Namespace;
use rustix::process::{Pid, Signal, kill_process};

use super::stage::Stage;
use crate::Outcome;

/// Where Debian's package puts it.
pub(crate) const PROGRAM: &str = "/usr/lib/podman/aardvark-dns";
/// Which port it listens on.
const PORT: u16 = 5353;

/// One that runs; it ends with this.
pub(crate) struct Aardvark {
    pid: Pid,
    directory: PathBuf,
}

impl Aardvark {
    /// Starts one in a namespace, with the names of the stage, for a client with the address `client`. It takes its place in
    /// the background once it is ready, and the program returns.
    pub(crate) fn start(
        program: &Path,
        stage: &Stage,
        namespace: &Namespace,
        [listen, client]: [Ipv4Addr; 2],
    ) -> Outcome<(Self, SocketAddrV4)> {
        let directory = stage.dir().join(format!("aardvark-{listen}"));
        fs::create_dir_all(&directory)?;
        let named = stage.names().iter().enumerate();
        let lines = named.map(|(number, (name, address))| format!("{number:064x} {address}  {name}\n"));
        let config = format!("{listen}\n{:064x} {client}  asking\n{}", u64::MAX, lines.collect::<String>());
        fs::write(directory.join("bench"), config)?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&directory).args(["--port", &PORT.to_string(), "run"]);
        // It says that there is no syslog, which is as it should be.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = stage.visit(namespace, move || command.status())??;
        if !status.success() {
            return Err(format!("{} ended with {status}", program.display()).into());
        }
        let pid = fs::read_to_string(directory.join("aardvark.pid"))?;
        let pid = Pid::from_raw(pid.trim().parse()?).ok_or("the pid of aardvark-dns is 0")?;
        Ok((Self { pid, directory }, SocketAddrV4::new(listen, PORT)))
    }

    /// Returns its process id.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }
}

impl Drop for Aardvark {
    fn drop(&mut self) {
        // Errors mean that it has ended already, or that the temporary directory is gone.
        let _: io::Result<()> = kill_process(self.pid, Signal::KILL).map_err(Into::into);
        let _ = fs::remove_dir_all(&self.directory);
    }
}
