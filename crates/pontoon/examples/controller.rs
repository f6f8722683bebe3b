//! A network, an endpoint with a published port, and a sandbox that joins it.
//!
//! As root, or as an ordinary user in namespaces of one's own:
//!
//! ```sh
//! cargo build -p pontoon --example controller
//! unshare --map-root-user --net --mount target/debug/examples/controller
//! ```

#![forbid(unsafe_code)]

use pontoon::{BridgeDriverConfig, Config, Controller, EndpointSpec, NetworkSpec, SandboxSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let config = Config::new(folder.path().join("state"))
        .run_dir(folder.path().join("run"))
        .driver("bridge", BridgeDriverConfig::default());
    let controller = Controller::open(config)?;

    // A network for containers to join. Its options are fields; what is not set is chosen.
    let network = controller.create_network(NetworkSpec::new("network1").driver("bridge"))?;

    // For each new container: addresses, and the ports it publishes.
    let endpoint = network.create_endpoint(EndpointSpec::new("Endpoint1").publish("8080:80/tcp".parse()?))?;

    // The container's network stack.
    let sandbox =
        controller.create_sandbox(SandboxSpec::new("container1").hostname("test").domainname("example.org"))?;

    // Now the interface exists, and the port is reachable.
    endpoint.join(&sandbox)?;

    let info = endpoint.info()?;
    println!("{} is in {}", sandbox.info()?.spec.name, sandbox.key().display());
    if let Some(ifname) = &info.ifname {
        println!("  interface {ifname}, MAC address {}", info.mac);
    }
    for address in &info.addresses {
        println!("  address {address}");
    }
    for port in &info.ports {
        println!("  {}:{} leads to {}:{}", port.host_ip, port.host_port, port.container_ip, port.container_port);
    }

    // Everything goes as it came. Dropping the controller instead would leave the sandbox as it is.
    sandbox.delete()?;
    network.delete()?;
    controller.settle()?;
    Ok(())
}
