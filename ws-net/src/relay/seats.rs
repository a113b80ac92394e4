use std::sync::Arc;

use ws_proto::Prepared;

use super::{Bits, MOST, Member, Part, Relay, Sleeper};

/// With fewer receivers each is woken: a relay would be memory for each topic of one or two.
pub(crate) const FEWEST: usize = 4;

/// With so few connections left, they move to other relays.
const FEW: u32 = MOST as u32 / 4;

/// The relays of a roster, and which of its entries sit where in them.
pub(crate) struct Seats<T> {
    rows: Vec<Row<T>>,
    /// For each entry 0, or the number of the seat that is kept for it, where those of the first
    /// relay begin at [`MOST`]. Empty as long as there are too few entries for relays.
    marks: Vec<u32>,
    /// So many entries have a seat.
    seated: usize,
    /// Who has a seat and not got the present message, a bit for each seat of each row.
    missed: Vec<Bits>,
    /// Where there was room last.
    last: usize,
}

/// A relay, and what one broadcast makes of it.
struct Row<T> {
    /// `None` when nobody has a seat.
    relay: Option<Arc<Relay<T>>>,
    taken: Bits,
    /// Which entry has each seat that is taken.
    entries: Vec<u32>,
    /// Its connections move elsewhere.
    closes: bool,
    /// Nobody has to be found who writes the present message.
    led: bool,
}

/// The relay and the seat of a mark.
fn place(mark: u32) -> Option<(usize, u8)> {
    let seat = mark as usize;
    Some(((seat / MOST).checked_sub(1)?, (seat % MOST) as u8))
}

impl<T: Member> Seats<T> {
    /// So many entries are there now; those that are new are behind the others.
    pub(crate) fn set_len(&mut self, entries: usize) {
        if entries >= FEWEST || !self.is_empty() {
            self.marks.resize(entries, 0);
        }
        #[cfg(test)]
        self.assert_sound();
    }

    /// Whether there are no relays to ask about, since there were too few entries so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Offers all members a message but this entry, and answers how many got it.
    pub(crate) fn push(&mut self, message: &Prepared, high: usize, except: Option<usize>) -> usize {
        if let Some((row, seat)) = except.and_then(|entry| self.place_of(entry))
            && let Some(Row { relay: Some(relay), .. }) = self.rows.get(row)
            && let Some(member) = relay.seated(seat)
        {
            member.leave();
        }
        // Where the last message stopped midway something is left.
        self.missed.clear();
        self.missed.shrink_to(2 * self.rows.capacity());
        let mut count = 0;
        for row in &mut self.rows {
            let (got, led) = match &row.relay {
                Some(relay) if !row.closes => relay.push(message, high),
                _ => (0, true),
            };
            self.missed.push(row.taken & !got);
            row.led = led || got == 0;
            count += got.count_ones() as usize;
        }
        count
    }

    /// Whether an entry but this one has no seat.
    pub(crate) fn are_short(&self, except: Option<usize>) -> bool {
        let stands = except.is_some_and(|entry| !self.has(entry));
        self.seated + usize::from(stands) < self.marks.len()
    }

    /// Whether an entry has a seat.
    pub(crate) fn has(&self, entry: usize) -> bool {
        self.place_of(entry).is_some()
    }

    /// An entry that had a seat and has not got the present message: each once, also when it moves to
    /// another seat meanwhile.
    pub(crate) fn next_missed(&mut self) -> Option<usize> {
        loop {
            let missed = self.missed.last_mut()?;
            let seat = missed.trailing_zeros() as usize;
            *missed &= missed.wrapping_sub(1);
            let row = self.missed.len() - 1;
            let entry = self.rows.get(row).and_then(|row| row.entries.get(seat));
            if let Some(entry) = entry {
                return Some(*entry as usize);
            }
            self.missed.pop();
        }
    }

    fn place_of(&self, entry: usize) -> Option<(usize, u8)> {
        self.marks.get(entry).and_then(|mark| place(*mark))
    }

    /// A connection sleeps and has something queued: others are to write it, in a relay where its
    /// entry gets a seat if it has none that fits. Answers which part it has there.
    pub(crate) fn take_in(
        &mut self,
        entry: usize,
        connection: &T,
        sleeper: &Sleeper,
    ) -> Option<(Part, &Arc<Relay<T>>, u8)> {
        let fits = |row: &Row<T>| {
            let like = |relay: &Arc<Relay<T>>| relay.is_for(sleeper.home, sleeper.format);
            !row.closes && row.relay.as_ref().is_some_and(like)
        };
        let mut mark = *self.marks.get(entry)?;
        if let Some((row, _)) = place(mark)
            && !self.rows.get(row).is_some_and(fits)
        {
            self.free(mark);
            mark = 0;
        }
        if mark == 0 {
            let has_room = |row: &Row<T>| row.taken != Bits::MAX && fits(row);
            let at = match self.rows.get(self.last) {
                Some(row) if has_room(row) => self.last,
                _ => match self.rows.iter().rposition(has_room) {
                    Some(at) => at,
                    None => self.add(Relay::new(sleeper.home, sleeper.format)),
                },
            };
            self.last = at;
            mark = self.sit(at, entry, connection);
            *self.marks.get_mut(entry)? = mark;
        }
        let (row, seat) = place(mark)?;
        let Row { relay, led, .. } = self.rows.get_mut(row)?;
        let relay = relay.as_ref()?;
        let part = relay.take_in(seat, sleeper);
        *led |= part == Part::Leads;
        Some((part, relay, seat))
    }

    /// Calls `lead` for relays in which nobody writes the message, with whom to wake for that.
    pub(crate) fn lead(&self, mut lead: impl FnMut(T, &Arc<Relay<T>>)) {
        for row in self.rows.iter().filter(|row| !row.led) {
            if let Some(relay) = &row.relay
                && let Some(leader) = relay.find_leader()
            {
                lead(leader, relay);
            }
        }
    }

    /// This entry, of so many, is in the roster no more, and the last one took its place.
    pub(crate) fn swap_remove(&mut self, entry: usize, entries: usize) {
        if self.is_empty() {
            return;
        }
        self.marks.resize(entries, 0);
        let mark = self.marks.swap_remove(entry);
        if let Some((row, seat)) = self.place_of(entry)
            && let Some(row) = self.rows.get_mut(row)
            && let Some(sits) = row.entries.get_mut(usize::from(seat))
        {
            *sits = entry as u32;
        }
        self.vacate(mark);
    }

    /// Needs room for so many entries.
    pub(crate) fn shrink_to(&mut self, entries: usize) {
        self.marks.shrink_to(entries);
    }

    /// Who has this mark is in the roster no more.
    fn vacate(&mut self, mark: u32) {
        let Some((at, seat)) = place(mark) else { return };
        let Some(Row { relay: Some(relay), .. }) = self.rows.get(at) else { return };
        if let Some(connection) = relay.seated(seat) {
            connection.leave();
        }
        self.free(mark);
        self.close_if_few(at);
    }

    /// When few are left in a relay, and there is room for them in another, they move there.
    fn close_if_few(&mut self, at: usize) {
        let Some(row) = self.rows.get(at).filter(|row| !row.closes) else { return };
        let Row { relay: Some(relay), taken, .. } = row else { return };
        let few = taken.count_ones();
        if few > FEW {
            return;
        }
        let room = |row: &Row<T>| MOST as u32 - row.taken.count_ones();
        let takes = |(other, row): (usize, &Row<T>)| {
            let like = |other: &Arc<Relay<T>>| other.is_for(relay.home, relay.format);
            let fits = other != at && !row.closes && room(row) >= few;
            fits && row.relay.as_ref().is_some_and(like)
        };
        if self.rows.iter().enumerate().any(takes)
            && let Some(row) = self.rows.get_mut(at)
        {
            row.closes = true;
        }
    }

    /// Frees a seat. Who was there has left.
    fn free(&mut self, mark: u32) {
        let Some((at, seat)) = place(mark) else { return };
        let Some(row) = self.rows.get_mut(at) else { return };
        let Some(relay) = &row.relay else { return };
        relay.seat(seat, None);
        row.taken &= !(1 << seat);
        self.seated -= 1;
        if row.taken == 0 {
            *row = Row::default();
            while self.rows.last().is_some_and(|row| row.relay.is_none()) {
                self.rows.pop();
            }
            if self.rows.len() < self.rows.capacity() / 4 {
                self.rows.shrink_to(self.rows.len() * 2);
            }
        }
    }

    /// Adds a relay, and answers where.
    fn add(&mut self, relay: Relay<T>) -> usize {
        let row = Row { relay: Some(Arc::new(relay)), led: false, ..Row::default() };
        if let Some(at) = self.rows.iter().position(|row| row.relay.is_none())
            && let Some(free) = self.rows.get_mut(at)
        {
            *free = row;
            return at;
        }
        self.rows.push(row);
        self.rows.len() - 1
    }

    /// Gives a connection a seat, and answers the mark for its entry.
    fn sit(&mut self, at: usize, entry: usize, connection: &T) -> u32 {
        let Some(row) = self.rows.get_mut(at) else { return 0 };
        let Some(relay) = &row.relay else { return 0 };
        let seat = row.taken.trailing_ones();
        row.taken |= 1 << seat;
        // The first that is free, so at most one behind the last.
        match row.entries.get_mut(seat as usize) {
            Some(sits) => *sits = entry as u32,
            None => row.entries.push(entry as u32),
        }
        self.seated += 1;
        relay.seat(seat as u8, Some(connection.clone()));
        ((at + 1) * MOST) as u32 + seat
    }
}

#[cfg(test)]
impl<T> Seats<T> {
    /// The longest of its lists.
    pub(crate) fn capacity(&self) -> usize {
        self.marks.capacity().max(self.rows.capacity()).max(self.missed.capacity())
    }

    /// What is written down twice is the same.
    fn assert_sound(&self) {
        let seated = self.marks.iter().enumerate().filter_map(|(entry, mark)| {
            let (row, seat) = place(*mark)?;
            let row = &self.rows[row];
            assert_eq!(row.entries[usize::from(seat)] as usize, entry);
            Some(row.taken >> seat & 1)
        });
        assert_eq!(seated.sum::<Bits>() as usize, self.seated);
        let taken = self.rows.iter().map(|row| row.taken.count_ones() as usize);
        assert_eq!(taken.sum::<usize>(), self.seated);
    }
}

impl<T> Default for Seats<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), marks: Vec::new(), seated: 0, missed: Vec::new(), last: 0 }
    }
}

impl<T> Default for Row<T> {
    fn default() -> Self {
        Self { relay: None, taken: 0, entries: Vec::new(), closes: false, led: true }
    }
}
