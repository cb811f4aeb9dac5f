//! Processes beside this one: what is measured is how processes talk, so some have to be others.
//!
//! A child is this same program with [`WORD`] as its first argument, and the name of one of the
//! [`CHILDREN`](crate::rows::CHILDREN) as its second. It is told what to do in lines on its standard
//! input, answers each with a line of numbers, and ends when there are no more. One that says
//! something to another process is a [`Speaker`]; its own clock measures, so that no time of the
//! talk with the parent is in the numbers.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use crate::measure::part;

/// What makes a process a child.
pub(crate) const WORD: &str = "--child";

/// So many are said before anything is measured.
const WARM_UP: u64 = 64;

/// A child that runs. Dropping it ends it.
pub(crate) struct Child {
    process: process::Child,
    /// Nothing once there is no more to be said.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// The command that starts a child.
pub(crate) fn command(name: &str, arguments: &[&str]) -> Command {
    let program = std::env::current_exe().expect("this program was started from somewhere");
    let mut command = Command::new(program);
    command.arg(WORD).arg(name).args(arguments);
    command
}

impl Child {
    /// Starts it, and waits until it is ready. Says what it had to say then, too.
    pub(crate) fn start(mut command: Command) -> (Self, Vec<f64>) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("this program can be started again");
        let orders = process.stdin.take();
        let answers = process.stdout.take().expect("it is piped");
        let mut child = Self { process, orders, answers: BufReader::new(answers) };
        let ready = child.answer();
        (child, ready)
    }

    /// Tells it to do something, and waits for the numbers that come of it.
    pub(crate) fn ask(&mut self, order: &str) -> Vec<f64> {
        let orders = self.orders.as_mut().expect("it was not dropped");
        writeln!(orders, "{order}").expect("the child listens");
        self.answer()
    }

    fn answer(&mut self) -> Vec<f64> {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the child answers in text");
        assert!(!line.is_empty(), "the child has ended; it said why");
        line.split_whitespace().map(|word| word.parse().expect("it is a number")).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.process.wait();
    }
}

/// Tells the parent that this child is ready, with some numbers.
pub(crate) fn say_ready(numbers: &[f64]) {
    answer(numbers);
}

fn answer(numbers: &[f64]) {
    let words: Vec<String> = numbers.iter().map(f64::to_string).collect();
    println!("{}", words.join(" "));
}

/// Waits until the parent wants no more of this child.
pub(crate) fn wait_for_end() {
    let _ = std::io::stdin().lines().last();
}

/// Somebody who says something to another process.
pub(crate) trait Speaker {
    /// What is said.
    type Words;

    /// Makes up what to say. No clock runs meanwhile.
    fn think(&mut self, number: u64) -> Self::Words;

    /// Says it. The last is followed by a [wait](Self::wait).
    fn say(&mut self, words: Self::Words, is_last: bool);

    /// Waits until everything has arrived.
    fn wait(&mut self);
}

/// Does as the parent orders:
///
/// - `stream N` says `N` in one go, and answers how many seconds it took until all had arrived;
/// - `each N` says `N`, each after the one before has arrived, and answers the median of the seconds
///   that one takes, and what 99 in 100 keep to;
/// - `burst N` says `N` in one go, and answers how many seconds it took until all were said.
pub(crate) fn serve(speaker: &mut impl Speaker) {
    let mut number = 0;
    let mut think = |speaker: &mut _, count| {
        let words: Vec<_> =
            (number..number + count).map(|at| Speaker::think(speaker, at)).collect();
        number += count;
        words
    };
    let words = think(speaker, WARM_UP);
    say_all(speaker, words);
    speaker.wait();
    say_ready(&[]);
    for line in std::io::stdin().lines() {
        let line = line.expect("orders are text");
        let (order, count) = line.split_once(' ').expect("an order has a number");
        let words = think(speaker, count.parse().expect("it is a number"));
        match order {
            "each" => {
                let mut times: Vec<f64> = words
                    .into_iter()
                    .map(|words| {
                        let start = Instant::now();
                        speaker.say(black_box(words), true);
                        speaker.wait();
                        start.elapsed().as_secs_f64()
                    })
                    .collect();
                answer(&[part(&mut times, 0.5), part(&mut times, 0.99)]);
            }
            "stream" | "burst" => {
                let start = Instant::now();
                say_all(speaker, words);
                let said = start.elapsed();
                speaker.wait();
                let time = if order == "burst" { said } else { start.elapsed() };
                answer(&[time.as_secs_f64()]);
            }
            other => panic!("there is no order {other:?}"),
        }
    }
}

fn say_all<S: Speaker>(speaker: &mut S, words: Vec<S::Words>) {
    let count = words.len();
    for (at, words) in (1..).zip(words) {
        speaker.say(black_box(words), at == count);
    }
}
