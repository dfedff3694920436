//! Where an install stands.

/// Where an install stands: the first *target* chunk that is not durable, and the
/// decoder's last reset point before it. It counts chunks of the image, so another
/// payload, another server or an SD card continue what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Component of the job, counted from 0.
    pub component: u8,
    /// Payload of the component, counted from 0.
    pub payload: u8,
    /// First chunk of the image that is not durable.
    pub chunk: u32,
    /// Bytes of the image at the decoder's last reset point.
    pub out: u64,
    /// Bytes of the payload at the decoder's last reset point.
    pub input: u64,
}

impl Cursor {
    /// The beginning of component `component`.
    pub fn start_of(component: u8) -> Self {
        Self { component, ..Self::default() }
    }

    /// The same chunk by the component's next payload, decoded from its beginning.
    pub fn next_payload(self) -> Self {
        Self { payload: self.payload.saturating_add(1), out: 0, input: 0, ..self }
    }

    /// The same payload from its beginning, for chunk `chunk`.
    pub fn again_from(self, chunk: u32) -> Self {
        Self { chunk, out: 0, input: 0, ..self }
    }
}
