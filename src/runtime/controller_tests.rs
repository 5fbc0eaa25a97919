use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::kubernetes::Name;

/// Passes that a test lets through one by one.
struct Gate {
    seen: UnboundedSender<String>,
    open: Semaphore,
    at_once: AtomicUsize,
    most: AtomicUsize,
}

struct Behind(Arc<Gate>);

#[async_trait]
impl Passes for Behind {
    fn kind(&self) -> KindName {
        KindName::AccessBinding
    }

    fn is_urgent(&self, name: &Name) -> bool {
        name.name() == "urgent"
    }

    async fn pass(&self, name: &Name) -> Ended {
        let gate = &self.0;
        let now = gate.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        gate.most.fetch_max(now, Ordering::SeqCst);
        let _ = gate.seen.send(name.name().to_owned());
        gate.open.acquire().await.unwrap().forget();
        gate.at_once.fetch_sub(1, Ordering::SeqCst);
        match name.name() {
            "panics" => panic!("as told"),
            "hangs" => std::future::pending().await,
            _ => Ended::Said(Next::AwaitChange),
        }
    }
}

fn gate() -> (Arc<Gate>, UnboundedReceiver<String>) {
    let (seen, seeing) = unbounded_channel();
    let gate = Gate {
        seen,
        open: Semaphore::new(0),
        at_once: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    };
    (Arc::new(gate), seeing)
}

fn subject(name: &str) -> Subject {
    Subject::new(KindName::AccessBinding, Name::new("ml", name))
}

struct Running {
    gate: Arc<Gate>,
    seeing: UnboundedReceiver<String>,
    wake: UnboundedSender<Subject>,
    stop: Arc<Notify>,
    done: tokio::task::JoinHandle<Stopped>,
}

fn run(all: Vec<Subject>, deadline: Duration) -> Running {
    let (gate, seeing) = gate();
    let (wake, mut woken) = unbounded_channel();
    let stop = Arc::new(Notify::new());
    let mut controllers = Controllers::new(
        vec![Box::new(Behind(gate.clone()))],
        3,
        Arc::new(Metrics::default()),
    );
    controllers.deadline = deadline;
    controllers.grace = Duration::from_millis(50);
    let stopped = stop.clone();
    let done = tokio::spawn(async move {
        controllers
            .run(all, &mut woken, async move { stopped.notified().await })
            .await
    });
    Running {
        gate,
        seeing,
        wake,
        stop,
        done,
    }
}

#[tokio::test]
async fn no_more_than_the_bound_run_at_once_and_all_get_their_turn() {
    let mut running = run((0..20).map(|n| subject(&format!("b{n}"))).collect(), PASS);
    for _ in 0..3 {
        running.seeing.recv().await.unwrap();
    }
    running.gate.open.add_permits(20);
    for _ in 3..20 {
        running.seeing.recv().await.unwrap();
    }
    running.stop.notify_one();
    running.done.await.unwrap();
    assert_eq!(running.gate.most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn one_that_panics_and_one_that_hangs_harm_nobody_else() {
    let mut running = run(
        vec![subject("hangs"), subject("panics")],
        Duration::from_millis(50),
    );
    running.gate.open.add_permits(1000);
    for _ in 0..2 {
        running.seeing.recv().await.unwrap();
    }
    running.wake.send(subject("fine")).unwrap();
    let mut seen = Vec::new();
    // Both are tried again, after the first wait of their backoff.
    while !["fine", "hangs", "panics"]
        .iter()
        .all(|name| seen.contains(&(*name).to_owned()))
    {
        seen.push(running.seeing.recv().await.unwrap());
    }
    running.stop.notify_one();
    running.done.await.unwrap();
}

#[tokio::test]
async fn asked_to_stop_it_lets_a_pass_end_and_begins_no_other() {
    let mut running = run(vec![subject("a")], PASS);
    running.seeing.recv().await.unwrap();
    running.stop.notify_one();
    running.wake.send(subject("b")).unwrap();
    running.gate.open.add_permits(1);
    assert_eq!(running.done.await.unwrap(), Stopped::AtRest);
    assert_eq!(running.gate.at_once.load(Ordering::SeqCst), 0, "the pass ended");
    assert!(running.seeing.try_recv().is_err(), "no other began");
}

#[tokio::test]
async fn a_pass_that_will_not_end_is_ended_and_that_is_said() {
    let mut running = run(vec![subject("hangs")], PASS);
    running.gate.open.add_permits(1);
    running.seeing.recv().await.unwrap();
    running.stop.notify_one();
    assert_eq!(running.done.await.unwrap(), Stopped::InTheMiddle);
    assert_eq!(Arc::strong_count(&running.gate), 1, "nothing of it is left");
}

#[tokio::test]
async fn what_is_urgent_is_among_the_first_however_many_are_due() {
    let due = (0..20).map(|n| subject(&format!("b{n:02}")));
    let mut running = run(due.chain([subject("urgent")]).collect(), PASS);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(running.seeing.recv().await.unwrap());
    }
    assert!(seen.contains(&"urgent".to_owned()), "{seen:?}");
    running.stop.notify_one();
    running.gate.open.add_permits(20);
    running.done.await.unwrap();
}
