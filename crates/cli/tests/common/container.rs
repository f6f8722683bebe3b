//! Containers of real runtimes: a bundle on disk, and the runtime's commands.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

use pontoon_testkit::run;
use serde_json::{Value, json};

use super::{eventually, process::Process};

/// Where bundles are, and what runtimes note.
const BUNDLES: &str = "/run/bundles";
const PROGRAMS: [&str; 8] = ["sh", "cat", "echo", "nc", "nslookup", "ping", "sleep", "test"];

/// A container that does not outlive the test.
pub(crate) struct Container {
    runtime: &'static str,
    pub(crate) id: String,
    config: Value,
}

/// Mounts the control groups that runtimes insist on: `isolated` hides the machine's.
pub(crate) fn mount_cgroups() {
    run("unshare", &["--cgroup", "mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"]);
}

impl Container {
    /// Makes a bundle whose process runs a shell script, in a network namespace of its own.
    pub(crate) fn new(runtime: &'static str, script: &str) -> Self {
        // Control groups are the machine's, and other tests run at the same time.
        let namespace = fs::metadata("/proc/self/ns/net").expect("a namespace").ino();
        let id = format!("pontoon-test-{runtime}-{namespace}");
        let container = Self { runtime, id, config: config(script) };
        let root = container.root();
        for directory in ["bin", "dev", "etc", "proc", "tmp"] {
            fs::create_dir_all(root.join(directory)).expect("a directory of the bundle");
        }
        let busybox = run("sh", &["-c", "command -v busybox"]);
        fs::copy(busybox.trim(), root.join("bin/busybox")).expect("busybox is copied");
        PROGRAMS.iter().for_each(|program| symlink("busybox", root.join("bin").join(program)).expect("a link"));
        for file in ["hosts", "resolv.conf"] {
            fs::write(root.join("etc").join(file), "").expect("an empty file");
        }
        container
    }

    fn bundle(&self) -> PathBuf {
        PathBuf::from(BUNDLES).join(&self.id)
    }

    /// Returns the directory that is the root inside.
    pub(crate) fn root(&self) -> PathBuf {
        self.bundle().join("rootfs")
    }

    /// Lets it have a network namespace that exists.
    pub(crate) fn namespace(&mut self, path: &str) {
        let namespaces = self.config["linux"]["namespaces"].as_array_mut().expect("a list");
        let network = namespaces.iter_mut().find(|one| one["type"] == "network").expect("it has one");
        network["path"] = path.into();
    }

    /// Mounts a file.
    pub(crate) fn mount(&mut self, source: &str, destination: &str) {
        let mount = json!({ "destination": destination, "type": "bind", "source": source, "options": ["bind", "rw"] });
        self.config["mounts"].as_array_mut().expect("a list").push(mount);
    }

    /// Has a program run when the container has its namespaces, and before its process starts.
    pub(crate) fn hook(&mut self, kind: &str, arguments: &[&str]) {
        let hook = json!({
            "path": arguments[0],
            "args": arguments,
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        });
        self.config["hooks"] = json!({ kind: [hook] });
        // crun does not pass on what a hook says, unless it is told where to.
        self.config["annotations"] = json!({ "run.oci.hooks.stderr": self.bundle().join("hook") });
    }

    /// Runs it in the background, until it ends.
    pub(crate) fn run(&self) -> Process {
        Process::start(&mut self.starting("run"))
    }

    /// Makes it, up to the moment before its process starts.
    pub(crate) fn create(&self) {
        let status = self.starting("create").status().expect("the runtime starts");
        assert!(status.success(), "{} create: {status}: {}", self.runtime, self.said());
    }

    /// Starts its process.
    pub(crate) fn start(&self) {
        let done = self.command(&["start", &self.id]).output().expect("the runtime starts");
        assert!(done.status.success(), "{done:?}: {}", self.said());
    }

    /// Returns the pid of its process.
    pub(crate) fn pid(&self) -> u64 {
        self.state()["pid"].as_u64().expect("a pid")
    }

    /// Returns what the runtime says of it.
    pub(crate) fn state(&self) -> Value {
        let Output { stdout, stderr, .. } = self.command(&["state", &self.id]).output().expect("the runtime starts");
        serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stderr)))
    }

    /// Waits until its process has said something.
    pub(crate) fn says(&self, line: &str) {
        let has = |text: &str| text.lines().any(|one| one == line);
        eventually(&format!("{line:?} of {}", self.id), || {
            let said = self.said();
            // The shell ends at the first command that fails.
            assert!(has(&said) || !has("failed"), "{said}");
            has(&said)
        });
    }

    /// Returns what its process, the runtime and its hooks have printed so far.
    pub(crate) fn said(&self) -> String {
        let read = |file| fs::read_to_string(self.bundle().join(file)).unwrap_or_default();
        read("said") + &read("hook")
    }

    /// A pipe would be kept open by the container.
    fn starting(&self, how: &str) -> Command {
        let bundle = self.bundle();
        fs::write(bundle.join("config.json"), self.config.to_string()).expect("the configuration is written");
        let said = File::create(bundle.join("said")).expect("a file for what is said");
        let also = said.try_clone().expect("the file is opened twice");
        let mut command = self.command(&[how, "--bundle", &bundle.to_string_lossy(), &self.id]);
        command.stdout(said).stderr(also);
        command
    }

    /// The control groups are below the present one wherever that is.
    fn command(&self, arguments: &[&str]) -> Command {
        let notes = format!("{BUNDLES}/{}", self.runtime);
        let mut command = Command::new("unshare");
        command.args(["--cgroup", self.runtime, "--root", &notes]).args(arguments);
        command.stdin(std::process::Stdio::null());
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may be gone; that is all that is wanted.
        let _ = self.command(&["delete", "--force", &self.id]).output();
    }
}

fn config(script: &str) -> Value {
    let script = format!("trap 'test $? = 0 || echo failed' EXIT; set -e; {script}");
    let namespaces = ["pid", "mount", "ipc", "uts", "network"].map(|kind| json!({ "type": kind }));
    // For ping, and for ports below 1024.
    let all = json!(["CAP_NET_RAW", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh", "-c", script],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": { "bounding": all, "effective": all, "permitted": all },
        },
        "root": { "path": "rootfs" },
        "hostname": "box",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
        ],
        "linux": { "namespaces": namespaces },
    })
}
