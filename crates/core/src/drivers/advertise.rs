//! The options that the core reads of every network whose endpoints have interfaces.

use super::OptionError;
use crate::model::{Options, label};
use crate::objects::Advertise;

/// How often addresses are announced at most.
const MOST: i64 = Advertise::DEFAULT.count as i64;
/// The shortest and the longest time between two announcements, in milliseconds.
const INTERVAL: (i64, i64) = (100, 2000);

/// Returns whether and how the addresses of a network's endpoints are announced.
///
/// # Errors
///
/// [`OptionError::Integer`] and [`OptionError::Range`] name the option.
pub(crate) fn read(options: &Options) -> Result<Option<Advertise>, OptionError> {
    let default = Advertise::DEFAULT;
    let count = number(options, label::ADVERTISE_COUNT, "an integer", (0, MOST))?;
    let interval = number(options, label::ADVERTISE_INTERVAL, "integer milliseconds", INTERVAL)?;
    let advertise = Advertise { count: count.unwrap_or(default.count), interval: interval.unwrap_or(default.interval) };
    Ok((advertise.count > 0).then_some(advertise))
}

/// Returns the options that are left for the driver.
pub(crate) fn without(options: &Options) -> Options {
    let mut rest = options.clone();
    rest.retain(|option, _| ![label::ADVERTISE_COUNT, label::ADVERTISE_INTERVAL].contains(&option.as_str()));
    rest
}

fn number<T: TryFrom<i64>>(
    options: &Options,
    option: &'static str,
    what: &'static str,
    (low, high): (i64, i64),
) -> Result<Option<T>, OptionError> {
    let Some(text) = options.get(option) else { return Ok(None) };
    let number: i64 = text.parse().map_err(|_| OptionError::Integer { option, value: text.clone(), what })?;
    let number = T::try_from(number).ok().filter(|_| (low..=high).contains(&number));
    number.map(Some).ok_or(OptionError::Range { option, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[(&str, &str)]) -> String {
        let options = given.iter().map(|(option, value)| ((*option).to_owned(), (*value).to_owned())).collect();
        match read(&options) {
            Ok(Some(advertise)) => format!("{} every {} ms", advertise.count, advertise.interval),
            Ok(None) => "none".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn ranges_and_texts_are_upstreams() {
        let (count, interval) = (label::ADVERTISE_COUNT, label::ADVERTISE_INTERVAL);
        let lines = [
            check(&[]),
            check(&[(count, "0"), (interval, "100")]),
            check(&[(count, "1"), (interval, "2000")]),
            check(&[(count, "4")]),
            check(&[(count, "-1")]),
            check(&[(count, "two")]),
            check(&[(interval, "99")]),
            check(&[(interval, "2001")]),
            check(&[(interval, "1s")]),
        ];
        assert_eq!(
            lines,
            [
                "3 every 1000 ms",
                "none",
                "1 every 2000 ms",
                "com.docker.network.advertise_addr_nmsgs must be in the range 0 to 3",
                "com.docker.network.advertise_addr_nmsgs must be in the range 0 to 3",
                "value for option com.docker.network.advertise_addr_nmsgs \"two\" must be an integer",
                "com.docker.network.advertise_addr_ms must be in the range 100 to 2000",
                "com.docker.network.advertise_addr_ms must be in the range 100 to 2000",
                "value for option com.docker.network.advertise_addr_ms \"1s\" must be integer milliseconds",
            ]
        );
    }
}
