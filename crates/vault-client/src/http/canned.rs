//! Connections that are no sockets: each gives the same answer, whatever is asked of it.

use std::sync::Arc;

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

/// Opens connections that give these bytes and then end.
#[derive(Debug)]
pub struct Canned(pub Arc<[u8]>);

impl Connector for Canned {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Connection>, ureq::Error> {
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Connection { answer: Arc::clone(&self.0), given: 0, buffers, tls: details.needs_tls() }))
    }
}

/// One connection, with as much as has been given.
#[derive(Debug)]
pub struct Connection {
    answer: Arc<[u8]>,
    given: usize,
    buffers: LazyBuffers,
    tls: bool,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let (room, rest) = (self.buffers.input_append_buf(), &self.answer[self.given..]);
        let amount = rest.len().min(room.len());
        room[..amount].copy_from_slice(&rest[..amount]);
        self.buffers.input_appended(amount);
        self.given += amount;
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        self.tls
    }
}
