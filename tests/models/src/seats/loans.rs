//! Borrowed seats: taken away until a time, given back by receipt, or lapsed.

use super::bugs::Bug;
use super::{DRIFT, GRACE, Seats, TERM};

/// How a loan stands with the lender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lender {
    /// Counted as taken.
    Out,
    /// Came back by receipt.
    Returned,
    /// Its time, and grace, are over.
    Lapsed,
}

/// How a loan stands with the borrower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Borrower {
    /// The update is on its way.
    Awaited,
    /// Installed, in a container whose clock is late by so many ticks.
    Holds(u8),
    /// Deleted; the receipt is on its way, and may come any number of times.
    GaveBack,
}

/// A loan. Durable on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Loan {
    /// As the lender has it.
    pub lender: Lender,
    /// As the borrower has it.
    pub borrower: Borrower,
    /// Ticks since it was made.
    pub age: u8,
}

/// What can happen to a loan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The borrower installs it; its clock is late by so much.
    Install(u8),
    /// The borrower deletes it and writes a receipt.
    GiveBack,
    /// A copy of the receipt reaches the lender.
    Receipt,
    /// The lender hears that the borrower is about to give it back.
    Wish,
}

/// All loans of a container, and how they were booked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Loans {
    /// Each loan.
    pub all: Vec<Loan>,
    /// The lender's account: seats that are out.
    pub out: i8,
    /// The lender's account: came back by receipt.
    pub returned: i8,
    /// The lender's account: lapsed.
    pub lapsed: i8,
}

impl Loan {
    /// Whether the borrower may use it, by its own clock.
    pub fn is_used(&self) -> bool {
        matches!(self.borrower, Borrower::Holds(late) if self.age < TERM + late)
    }

    /// What can happen now.
    pub fn steps(&self, model: &Seats) -> impl Iterator<Item = Step> + use<> {
        let held = matches!(self.borrower, Borrower::Holds(_));
        let gave_back = self.borrower == Borrower::GaveBack;
        let again = gave_back && model.is(Bug::LoanInstalledTwice);
        let wish = held && model.is(Bug::ReturnedOnRequest);
        let can = [
            (self.borrower == Borrower::Awaited || again, Step::Install(0)),
            (self.borrower == Borrower::Awaited || again, Step::Install(DRIFT)),
            (held, Step::GiveBack),
            (gave_back, Step::Receipt),
            (wish, Step::Wish),
        ];
        can.into_iter().filter_map(|(can, step)| can.then_some(step))
    }
}

impl Loans {
    /// Lends a seat.
    pub fn lend(&mut self) {
        self.out += 1;
        self.all.push(Loan { lender: Lender::Out, borrower: Borrower::Awaited, age: 0 });
    }

    /// Something happens to loan number `at`.
    pub fn step(&mut self, model: &Seats, at: usize, step: Step) {
        let loan = &mut self.all[at];
        match step {
            Step::Install(late) => loan.borrower = Borrower::Holds(late),
            Step::GiveBack => loan.borrower = Borrower::GaveBack,
            Step::Receipt | Step::Wish => {
                // A receipt that came before, or too late, is nothing new.
                if loan.lender == Lender::Out || model.is(Bug::BorrowReturnedTwice) {
                    loan.lender = Lender::Returned;
                    self.out -= 1;
                    // The model ends where the account is wrong.
                    self.returned = (self.returned + 1).min(model.scene.loans as i8 + 1);
                }
            }
        }
    }

    /// Time passes.
    pub fn tick(&mut self, model: &Seats) {
        let grace = if model.is(Bug::LoanLapsesEarly) { 0 } else { GRACE };
        for loan in &mut self.all {
            loan.age = (loan.age + 1).min(TERM + GRACE);
            if loan.lender == Lender::Out && loan.age >= TERM + grace {
                loan.lender = Lender::Lapsed;
                self.out -= 1;
                self.lapsed += 1;
            }
        }
    }
}
