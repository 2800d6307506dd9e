//! The moves of the search, and how they are undone.
//!
//! A search tries many configurations that differ little. So there is one [`State`] that every move changes in place,
//! and a trail of the moves: to go back to an earlier configuration is to undo the moves since then, the last one
//! first.

use super::state::{Action, Move, State, Step, mark};

impl State<'_> {
    /// How many moves were made; [`State::undo`] goes back to such a number.
    pub(super) fn moves(&self) -> usize {
        self.trail.len()
    }

    /// Goes on to the next deadline of a step that is not in order yet.
    pub(super) fn advance(&mut self) {
        while let Some(due) = self.due() {
            self.let_arrive(self.steps[due].deadline);
            self.take_reads();
            if !self.done[due] {
                return;
            }
            self.passed += 1;
            self.early ^= mark(due);
            self.trail.push(Move::Passed(due));
        }
    }

    /// Steps whose calls were made by `time` may be put in order.
    fn let_arrive(&mut self, time: u64) {
        while let Some(&arrival) = self.arrivals.get(self.arrived)
            && self.steps[arrival].invoked <= time
        {
            self.arrived += 1;
            self.has_arrived[arrival] = true;
            self.trail.push(Move::Arrived);
            if self.steps[arrival].after.is_none_or(|after| self.done[after]) {
                self.offer(arrival);
            }
        }
    }

    /// Lets a step wait from now on.
    fn offer(&mut self, step: usize) {
        self.insert(step);
        self.trail.push(Move::Offered(step));
    }

    /// Puts every read in order that is true now.
    fn take_reads(&mut self) {
        loop {
            let mut fitting = self.reads.range((self.stock, 0)..=(self.stock, usize::MAX)).map(|(_, read)| *read);
            let Some(read) = fitting.find(|read| self.shows_position(*read)) else { return };
            self.remove(read);
            self.done[read] = true;
            self.early ^= mark(read);
            self.trail.push(Move::Read(read));
        }
    }

    /// Puts a change in order, and says whether that is possible now.
    pub(super) fn apply(&mut self, index: usize) -> bool {
        let Step { after, action, .. } = self.steps[index];
        let stock = match action {
            Action::Add(delta) => self.stock + delta,
            Action::AddTo(delta, stock) if self.stock + delta == i64::from(stock) => i64::from(stock),
            Action::Set(stock) => i64::from(stock),
            Action::AddTo(..) | Action::Read(_) => return false,
        };
        let ready = !self.done[index] && self.has_arrived[index] && after.is_none_or(|after| self.done[after]);
        let Some(position) = self.position_of(index).filter(|_| ready && stock >= 0) else { return false };
        self.remove(index);
        self.trail.push(Move::Applied(index, self.stock, self.position));
        (self.stock, self.position, self.done[index]) = (stock, position, true);
        self.early ^= mark(index);
        for at in 0..self.dependents.get(&index).map_or(0, Vec::len) {
            let dependent = self.dependents[&index][at];
            if self.has_arrived[dependent] {
                self.offer(dependent);
            }
        }
        self.take_reads();
        true
    }

    /// Undoes the last moves, down to `moves` of them.
    pub(super) fn undo(&mut self, moves: usize) {
        while self.trail.len() > moves {
            match self.trail.pop() {
                Some(Move::Arrived) => {
                    self.arrived -= 1;
                    self.has_arrived[self.arrivals[self.arrived]] = false;
                }
                Some(Move::Offered(step)) => self.remove(step),
                Some(Move::Applied(step, stock, position)) => {
                    (self.stock, self.position) = (stock, position);
                    self.put_back(step);
                }
                Some(Move::Read(step)) => self.put_back(step),
                Some(Move::Passed(step)) => {
                    self.passed -= 1;
                    self.early ^= mark(step);
                }
                None => {}
            }
        }
    }

    /// Takes a step out of the order again.
    fn put_back(&mut self, step: usize) {
        self.done[step] = false;
        self.early ^= mark(step);
        self.insert(step);
    }
}
