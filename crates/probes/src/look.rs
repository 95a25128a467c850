//! Blocking looks at a [`HostView`] from async probes: each has a deadline, and looks that hang are counted and bounded.
//!
//! A file system that does not answer cannot be interrupted; its thread stays. So each lane has a few seats, and once they
//! are all taken by hung looks no further thread is risked: the probe says so instead.

use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::{Deadline, HostView, ProbeError};

/// Threads that may hang on file systems (a dead NFS server) before looks at them are refused.
const FILE_SYSTEM_SEATS: usize = 8;
/// Looks below /proc and /sys, the process table, units; these practically never hang.
const KERNEL_SEATS: usize = 32;

/// Looks at other machines, each of which ends by itself.
const REMOTE_SEATS: usize = 128;

static REMOTE: Semaphore = Semaphore::const_new(REMOTE_SEATS);
static FILE_SYSTEMS: Semaphore = Semaphore::const_new(FILE_SYSTEM_SEATS);
static KERNEL: Semaphore = Semaphore::const_new(KERNEL_SEATS);

/// What a look may hang on; one lane's hung looks do not block the other.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lane {
    Kernel,
    FileSystems,
}

/// Runs `look` on a blocking thread and waits until the deadline at most.
///
/// # Errors
/// The deadline passed, all seats are taken, or `look` failed.
pub async fn look<T, F>(view: &Arc<dyn HostView>, lane: Lane, deadline: Deadline, look: F) -> Result<T, ProbeError>
where
    T: Send + 'static,
    F: FnOnce(&dyn HostView) -> io::Result<T> + Send + 'static,
{
    let seats = match lane {
        _ if view.is_remote() => &REMOTE,
        Lane::Kernel => &KERNEL,
        Lane::FileSystems => &FILE_SYSTEMS,
    };
    let deadline = ahead_of(deadline);
    let seat = match timeout_at(deadline, seats.acquire()).await {
        Ok(Ok(seat)) => seat,
        Ok(Err(_)) | Err(_) => {
            return Err(ProbeError::Timeout(
                "earlier looks at this host still hang; no further one was started".into(),
            ));
        }
    };
    let view = Arc::clone(view);
    let thread = tokio::task::spawn_blocking(move || {
        let seen = look(view.as_ref());
        drop(seat);
        seen
    });
    match timeout_at(deadline, thread).await {
        Err(_) => Err(ProbeError::Timeout("the host's own system calls did not return in time".into())),
        Ok(Err(panic)) => Err(ProbeError::Failed(format!("the look ended abnormally: {panic}"))),
        Ok(Ok(seen)) => seen.map_err(|error| from_io(&error)),
    }
}

/// A little before the deadline, so that "no answer in time" can still be told as an observation.
pub fn ahead_of(deadline: Deadline) -> Deadline {
    /// Enough for a scheduler under load, too little to matter for a check of one second or more.
    const MARGIN_MS_MAX: u64 = 50;
    let left = deadline.saturating_duration_since(Instant::now());
    deadline - (left / 10).min(std::time::Duration::from_millis(MARGIN_MS_MAX))
}

/// Names the right that is missing, or what failed.
pub fn from_io(error: &io::Error) -> ProbeError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ProbeError::MissingRight(format!("this process may not look there: {error}; run the agent as root"))
        }
        io::ErrorKind::TimedOut => ProbeError::Timeout(error.to_string()),
        _ => ProbeError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::sim_view::SimView;

    #[tokio::test]
    async fn a_look_that_hangs_ends_at_its_deadline_and_gives_its_seat_back_later() {
        let view: Arc<dyn HostView> = Arc::new(SimView::new());
        let (release, hung) = mpsc::channel::<()>();
        let soon = Instant::now() + Duration::from_millis(50);
        let seen = look(&view, Lane::Kernel, soon, move |_| {
            let _ = hung.recv();
            Ok(())
        })
        .await;
        assert!(matches!(seen, Err(ProbeError::Timeout(_))), "{seen:?}");
        assert!(Instant::now() < soon + Duration::from_millis(500));
        drop(release);
    }

    #[tokio::test]
    async fn a_refused_file_names_the_right() {
        let view: Arc<dyn HostView> = Arc::new(SimView::new());
        let soon = Instant::now() + Duration::from_secs(5);
        let seen: Result<(), _> =
            look(&view, Lane::Kernel, soon, |_| Err(io::Error::from(io::ErrorKind::PermissionDenied))).await;
        assert!(matches!(seen, Err(ProbeError::MissingRight(_))), "{seen:?}");
    }
}
