//! The options that the core reads of every endpoint that has an interface.

use super::{ErasedDriver, OptionError, OptionReader};
use crate::model::{EndpointSpec, IfName, label};

/// Returns what is asked for, with the options of an endpoint read: those that stand for a field are in that field too.
///
/// # Errors
///
/// [`OptionError`] if an option cannot be read, is unknown, or contradicts its field.
pub(crate) fn read(spec: &EndpointSpec, driver: &dyn ErasedDriver) -> Result<EndpointSpec, OptionError> {
    let mut spec = spec.clone();
    let options = spec.options.clone();
    let mut reader = OptionReader::new(driver.name(), &options);
    if driver.traits().addresses {
        if let Some(ifname) = reader.parsed::<IfName>(label::ENDPOINT_IFNAME)? {
            match spec.ifname.replace(ifname.clone()) {
                Some(field) if field != ifname => {
                    let option = label::ENDPOINT_IFNAME;
                    let both =
                        format!("interface name {field} and option {option}={ifname} contradict each other: give one");
                    return Err(OptionError::Combination(both));
                }
                _ => {}
            }
        }
        let settings = reader.text(label::ENDPOINT_SYSCTLS).filter(|text| !text.is_empty());
        spec.sysctls.extend(settings.into_iter().flat_map(|text| text.split(',').map(str::to_owned)));
    }
    driver.endpoint_options(&mut reader)?;
    reader.finish()?;
    Ok(spec)
}
