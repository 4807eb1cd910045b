//! Handles: numbers that C code holds in place of objects.
//!
//! A handle is an object's place in one table, and the place's generation, which rises with each
//! object that leaves it. So a number, wherever it comes from, names one open object or none, and
//! an object of another type is none.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use container::Error;
use protocol::errors::ErrorCode;

/// Objects that may be open at a time. A program that needs more has forgotten some.
const OPEN_MAX: usize = 65_536;

static HANDLES: Mutex<Table> = Mutex::new(Table { places: Vec::new(), free: Vec::new() });

/// Opens a handle to `object`.
///
/// # Errors
/// [`ErrorCode::TooManyHandles`].
pub(crate) fn open<T: Any + Send + Sync>(object: T) -> Result<u64, Error> {
    table().open(Arc::new(object))
}

/// The object behind a handle. It lives on while it is used, even if the handle is closed.
///
/// # Errors
/// [`ErrorCode::HandleUnknown`].
pub(crate) fn get<T: Any + Send + Sync>(id: u64) -> Result<Arc<T>, Error> {
    table().get(id)
}

/// Closes a handle and gives its object back, which ends with its last use.
///
/// # Errors
/// [`ErrorCode::HandleUnknown`].
pub(crate) fn close<T: Any + Send + Sync>(id: u64) -> Result<Arc<T>, Error> {
    table().close(id)
}

fn table() -> MutexGuard<'static, Table> {
    // No change of the table can panic half done.
    HANDLES.lock().unwrap_or_else(PoisonError::into_inner)
}

type Object = Arc<dyn Any + Send + Sync>;

#[derive(Default)]
struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    /// Never 0, so that a handle of zeros is none.
    generation: u32,
    object: Option<Object>,
}

impl Table {
    fn open(&mut self, object: Object) -> Result<u64, Error> {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.add()?,
        };
        let place = &mut self.places[index as usize];
        place.object = Some(object);
        Ok(u64::from(place.generation) << 32 | u64::from(index))
    }

    fn add(&mut self) -> Result<u32, Error> {
        let index = self.places.len();
        if index >= OPEN_MAX {
            return Err(ErrorCode::TooManyHandles.with(OPEN_MAX as u64, 0).into());
        }
        self.places.push(Place { generation: 1, object: None });
        Ok(index as u32)
    }

    fn get<T: Any + Send + Sync>(&self, id: u64) -> Result<Arc<T>, Error> {
        let place = self.places.get(index(id));
        let place = place.filter(|place| place.generation == generation(id));
        let object = place.and_then(|place| place.object.clone());
        let object = object.and_then(|object| object.downcast().ok());
        object.ok_or_else(|| ErrorCode::HandleUnknown.failure().into())
    }

    fn close<T: Any + Send + Sync>(&mut self, id: u64) -> Result<Arc<T>, Error> {
        let object = self.get(id)?;
        let place = &mut self.places[index(id)];
        place.object = None;
        // A place whose generations are used up is not used again.
        if let Some(next) = place.generation.checked_add(1) {
            place.generation = next;
            self.free.push(index(id) as u32);
        }
        Ok(object)
    }
}

fn index(id: u64) -> usize {
    (id & u64::from(u32::MAX)) as usize
}

fn generation(id: u64) -> u32 {
    (id >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T>(outcome: Result<T, Error>) -> bool {
        outcome.is_err_and(|error| error.is(ErrorCode::HandleUnknown))
    }

    #[test]
    fn a_handle_names_its_object_until_it_is_closed() {
        let mut table = Table::default();
        let (a, b) = (table.open(Arc::new(1_u8)).unwrap(), table.open(Arc::new(2_u8)).unwrap());
        assert_eq!((*table.get::<u8>(a).unwrap(), *table.get::<u8>(b).unwrap()), (1, 2));
        assert_eq!(*table.close::<u8>(a).unwrap(), 1);
        assert!(refused(table.get::<u8>(a)) && refused(table.close::<u8>(a)));
        assert_eq!(*table.get::<u8>(b).unwrap(), 2);
    }

    #[test]
    fn sec_p14_a_closed_handle_does_not_name_the_next_object_in_its_place() {
        let mut table = Table::default();
        let old = table.open(Arc::new(1_u8)).unwrap();
        table.close::<u8>(old).unwrap();
        let new = table.open(Arc::new(2_u8)).unwrap();
        assert_eq!(index(old), index(new));
        assert!(refused(table.get::<u8>(old)) && refused(table.close::<u8>(old)));
        assert_eq!(*table.get::<u8>(new).unwrap(), 2);
    }

    #[test]
    fn another_kind_and_numbers_from_nowhere_are_no_handles() {
        let mut table = Table::default();
        let id = table.open(Arc::new(1_u8)).unwrap();
        assert!(refused(table.get::<u16>(id)) && refused(table.close::<u16>(id)));
        for wrong in [0, 1, id + 1, id ^ 1 << 32, u64::MAX, u64::from(u32::MAX)] {
            assert!(refused(table.get::<u8>(wrong)), "{wrong:#x}");
        }
        assert_eq!(*table.get::<u8>(id).unwrap(), 1);
    }

    #[test]
    fn a_place_is_given_up_with_its_last_generation() {
        let mut table = Table::default();
        let id = table.open(Arc::new(1_u8)).unwrap();
        table.places[index(id)].generation = u32::MAX;
        let last = u64::from(u32::MAX) << 32 | id & 0xffff_ffff;
        table.close::<u8>(last).unwrap();
        assert!(refused(table.get::<u8>(last)));
        assert_ne!(index(table.open(Arc::new(2_u8)).unwrap()), index(id));
    }

    #[test]
    fn handles_that_are_never_closed_come_to_an_end() {
        let mut table = Table::default();
        let object: Object = Arc::new(());
        let opened: Vec<u64> = (0..OPEN_MAX).map(|_| table.open(object.clone()).unwrap()).collect();
        let full = table.open(object.clone()).unwrap_err();
        assert!(full.is(ErrorCode::TooManyHandles));
        table.close::<()>(opened[7]).unwrap();
        table.open(object).unwrap();
    }
}
