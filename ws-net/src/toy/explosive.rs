/// The owner of a payload that panics when it is dropped: long enough to be shared, not copied.
pub(crate) struct Explosive([u8; 5000]);

impl Explosive {
    pub(crate) fn new() -> Self {
        Self([b'x'; 5000])
    }
}

impl AsRef<[u8]> for Explosive {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("an owner");
    }
}
