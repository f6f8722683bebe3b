//! The tables.

use super::client::{CLIENTS, IN_FLIGHT, LOAD, Load, SEQUENCE};
use super::memory::Memory;
use crate::sample::Sample;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Echo,
    RedirectedEcho,
    Pontoon,
    Aardvark,
    AardvarkOnGateway,
}

impl Server {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Echo => "UDP echo",
            Self::RedirectedEcho => "UDP echo, redirected",
            Self::Pontoon => "Pontoon",
            Self::Aardvark => "aardvark-dns on loopback",
            Self::AardvarkOnGateway => "aardvark-dns on the gateway",
        }
    }
}

/// What was measured of one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Every answer in sequence, in microseconds.
    pub(crate) sequence: Sample,
    /// Of each round the median in sequence, in microseconds.
    pub(crate) medians: Vec<f64>,
    /// Of each round the answers per second under load.
    rates: Vec<f64>,
    asked: u32,
    lost: u32,
}

impl Measured {
    pub(crate) fn add_load(&mut self, load: Load) {
        self.rates.push(f64::from(load.answered) / LOAD.as_secs_f64());
        self.asked += load.asked;
        self.lost += load.lost;
    }
}

/// What was measured with so many names.
pub(crate) struct AtSize {
    pub(crate) names: usize,
    pub(crate) measured: Vec<(Server, Measured)>,
    /// The process that answers all sandboxes.
    pub(crate) helper: Memory,
    pub(crate) peer: Option<Memory>,
}

/// Prints what was measured at all sizes.
pub(crate) fn print(sizes: &[AtSize], rounds: usize) {
    println!("| names | server | in sequence, µs | to the echo's | under load, /s | Pontoon's to it | lost |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    sizes.iter().for_each(print_answers);
    println!(
        "\nMedian (quartiles) of {rounds} rounds, of {SEQUENCE} queries one after the other and {} s of load each: {CLIENTS} \
         sockets with {IN_FLIGHT} queries under way on each. Ratios are those of the rounds. Every answer is checked.\n",
        LOAD.as_secs_f64()
    );
    println!("| sandboxes | resident, KiB | proportional, KiB | each more, KiB | aardvark-dns resident, KiB |");
    println!("| --- | --- | --- | --- | --- |");
    let mut before: Option<&AtSize> = None;
    for size in sizes {
        let each = before.map_or("-".to_owned(), |before| each_more(before, size));
        let peer = size.peer.map_or("-".to_owned(), |peer| peer.resident.to_string());
        let Memory { resident, proportional } = size.helper;
        println!("| {} | {resident} | {proportional} | {each} | {peer} |", size.names + 1);
        before = Some(size);
    }
}

fn print_answers(size: &AtSize) {
    let of = |server| size.measured.iter().find(|(other, _)| *other == server).map(|(_, measured)| measured);
    let (Some(echo), Some(pontoon)) = (of(Server::Echo), of(Server::Pontoon)) else { return };
    for (server, measured) in &size.measured {
        println!(
            "| {} | {} | {} | {} | {} | {} | {} of {} |",
            size.names,
            server.title(),
            measured.sequence.text_to(1),
            ratios(&measured.medians, &echo.medians).text_to(2),
            measured.rates.iter().copied().collect::<Sample>().text_to(0),
            ratios(&pontoon.rates, &measured.rates).text_to(2),
            measured.lost,
            measured.asked,
        );
    }
}

/// Returns the ratios of what was measured in the same round.
fn ratios(these: &[f64], those: &[f64]) -> Sample {
    these.iter().zip(those).map(|(this, that)| this / that).collect()
}

/// Returns how much each sandbox between two sizes took, as KiB of the proportional size.
fn each_more(before: &AtSize, after: &AtSize) -> String {
    let [less, more] = [before, after].map(|size| size.helper.proportional as f64);
    format!("{:.1}", (more - less) / (after.names - before.names) as f64)
}
