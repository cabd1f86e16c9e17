//! What an operator says of a processor that goes on being deployed: pause, resume, scale. Each is a frame first; what runs hears of
//! it afterwards and reads it from the views, so that two who speak at once agree in the end. It never waits for a batch.

use crate::model::change::ProcessorId;
use crate::model::name::ProcessorName;
use crate::model::operation::{Lanes, Operation, Operator, Rate};

use super::{DispatchError, Dispatcher, Shared};

impl Dispatcher {
    /// Lets no batch of a processor begin. Those in flight end; positions, state and what is held stay.
    pub fn pause(&self, name: &ProcessorName, reason: String, by: Operator) -> Result<(), DispatchError> {
        let processor = self.0.known(name)?;
        self.0.domain.pause(processor, reason, by)?;
        self.0.tell(processor);
        Ok(())
    }

    /// Lets batches of a processor begin again, at this rate at most.
    pub fn resume(
        &self,
        name: &ProcessorName,
        rate: Option<Rate>,
        by: Operator,
    ) -> Result<(), DispatchError> {
        let processor = self.0.known(name)?;
        self.0.domain.resume(processor, rate, by)?;
        self.0.tell(processor);
        Ok(())
    }

    /// Gives a processor bounds for its lanes, or takes those back that it was given. Its instances stay warm.
    pub fn scale(
        &self,
        name: &ProcessorName,
        lanes: Option<Lanes>,
        by: Operator,
    ) -> Result<(), DispatchError> {
        let processor = self.0.known(name)?;
        self.0.domain.scale(processor, lanes, by)?;
        self.0.tell(processor);
        Ok(())
    }

    /// What an operator said last of a processor.
    pub fn operation(&self, name: &ProcessorName) -> Result<Operation, DispatchError> {
        Ok(self.0.domain.operation(self.0.known(name)?))
    }
}

impl Shared {
    /// The number of a processor that is deployed, or was and kept its positions.
    pub(super) fn known(&self, name: &ProcessorName) -> Result<ProcessorId, DispatchError> {
        let known = self.domain.look(|world| {
            let id = world.processor_id(name.as_str())?;
            let processor = world.processors().get(id as usize)?;
            (processor.deployed || !processor.subscriptions.is_empty()).then_some(id)
        });
        known.ok_or_else(|| DispatchError::Unknown(name.to_string()))
    }

    /// Whoever starts it from now on reads what was said while it holds this lock for writing.
    pub(super) fn tell(&self, processor: ProcessorId) {
        let running = self.processors.read().get(processor as usize).and_then(|slot| slot.running.clone());
        if let Some(running) = running {
            running.operate();
        }
    }
}
