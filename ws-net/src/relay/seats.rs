use std::sync::Arc;

use ws_proto::Prepared;

use super::{MOST, Member, Part, Relay, Sleeper};

/// With fewer receivers each is woken: a relay would be memory for each topic of one or two.
pub(crate) const FEWEST: usize = 4;

/// With so few connections left, they move to other relays.
const FEW: u32 = MOST as u32 / 4;

/// The relays of a roster. Who is in it has a mark there: 0, or the number of the seat that is kept
/// for it, where those of the first relay begin at [`MOST`].
pub(crate) struct Seats<T> {
    rows: Vec<Row<T>>,
    /// Who got the present message, a bit for each mark.
    got: Vec<u32>,
    /// Where there was room last.
    last: usize,
}

/// A relay, and what one broadcast makes of it.
struct Row<T> {
    /// `None` when nobody has a seat.
    relay: Option<Arc<Relay<T>>>,
    taken: u32,
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
    /// Offers all members a message. `except`, who has this mark, does not get it.
    pub(crate) fn push(&mut self, message: &Prepared, high: usize, except: u32) {
        if let Some((row, seat)) = place(except)
            && let Some(Row { relay: Some(relay), .. }) = self.rows.get(row)
            && let Some(member) = relay.seated(seat)
        {
            member.leave();
        }
        self.got.clear();
        self.got.shrink_to(2 * self.rows.capacity());
        self.got.push(0);
        for row in &mut self.rows {
            let (got, led) = match &row.relay {
                Some(relay) if !row.closes => relay.push(message, high),
                _ => (0, true),
            };
            self.got.push(got);
            row.led = led || got == 0;
        }
    }

    /// Whether who has this mark got the message.
    #[inline]
    pub(crate) fn got(&self, mark: u32) -> bool {
        let got = self.got.get((mark / u32::BITS) as usize);
        got.is_some_and(|got| got & (1 << (mark % u32::BITS)) != 0)
    }

    /// How many got it.
    pub(crate) fn count(&self) -> usize {
        self.got.iter().map(|got| got.count_ones() as usize).sum()
    }

    /// A connection sleeps and has something queued: others are to write it, in a relay where it gets
    /// a seat if it has none that fits. Answers which part it has there.
    pub(crate) fn take_in(
        &mut self,
        mark: &mut u32,
        connection: &T,
        sleeper: &Sleeper,
    ) -> Option<(Part, &Arc<Relay<T>>, u8)> {
        let fits = |row: &Row<T>| {
            let like = |relay: &Arc<Relay<T>>| relay.is_for(sleeper.home, sleeper.format);
            !row.closes && row.relay.as_ref().is_some_and(like)
        };
        if let Some((row, _)) = place(*mark)
            && !self.rows.get(row).is_some_and(fits)
        {
            self.free(*mark);
            *mark = 0;
        }
        if *mark == 0 {
            let has_room = |row: &Row<T>| row.taken != u32::MAX && fits(row);
            let at = match self.rows.get(self.last) {
                Some(row) if has_room(row) => self.last,
                _ => match self.rows.iter().rposition(has_room) {
                    Some(at) => at,
                    None => self.add(Relay::new(sleeper.home, sleeper.format)),
                },
            };
            self.last = at;
            *mark = self.sit(at, connection);
        }
        let (row, seat) = place(*mark)?;
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

    /// Who has this mark is in the roster no more.
    pub(crate) fn vacate(&mut self, mark: u32) {
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
        let Some(Row { relay: Some(relay), taken, .. }) = self.rows.get(at) else { return };
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

    /// Gives a connection a seat, and answers its mark.
    fn sit(&mut self, at: usize, connection: &T) -> u32 {
        let Some(row) = self.rows.get_mut(at) else { return 0 };
        let Some(relay) = &row.relay else { return 0 };
        let seat = row.taken.trailing_ones();
        row.taken |= 1 << seat;
        relay.seat(seat as u8, Some(connection.clone()));
        ((at + 1) * MOST) as u32 + seat
    }
}

impl<T> Default for Seats<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), got: Vec::new(), last: 0 }
    }
}

impl<T> Default for Row<T> {
    fn default() -> Self {
        Self { relay: None, taken: 0, closes: false, led: true }
    }
}
