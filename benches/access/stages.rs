//! The measurements, and the result they add up to.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use lockstep_core::domain::outcome::next_check;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use crate::common::calls::Calls;
use crate::common::operator::Operator;
use crate::common::results::rounded;
use crate::world::{MEMBERS, Shape, World, member};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    teams: usize,
    limited: usize,
    many: usize,
    idle: Duration,
    drifts: usize,
}

impl Sizes {
    pub fn full() -> Self {
        Self {
            teams: 1_000,
            limited: 200,
            many: 10_000,
            idle: Duration::from_mins(5),
            drifts: 30,
        }
    }

    pub fn quick() -> Self {
        Self {
            teams: 100,
            limited: 20,
            many: 300,
            idle: Duration::from_mins(1),
            drifts: 8,
        }
    }
}

pub struct Bench {
    sizes: Sizes,
    world: World,
    results: Value,
}

impl Bench {
    pub async fn new(sizes: Sizes, kept: Option<Value>) -> Self {
        Self {
            sizes,
            world: World::new().await,
            results: kept.unwrap_or_else(|| json!({})),
        }
    }

    pub fn results(&self) -> &Value {
        &self.results
    }

    /// Teams with a group in both systems, from the first second to the last repair.
    pub async fn teams(&mut self) {
        let teams = self.sizes.teams;
        self.put_alone("calls_ratio", json!({}));
        self.put_alone("n1000", json!({}));
        self.world
            .fresh(
                Shape::GerritAndWorkspace,
                &json!({"groupListMembers": true}),
                true,
            )
            .await;
        let operator = self.create("n1000", teams).await;
        self.change(&operator, teams).await;
        operator.stop().await;
        let operator = self.restart("n1000", teams).await;
        let check = self.check(&operator, teams).await;
        self.put("check", "seconds", rounded(check.seconds));
        self.put("check", "requests", json!(check.calls.requests()));
        self.put("check", "bytes", json!(check.calls.bytes));
        self.put_alone("idle_writes", json!(check.writes));
        self.idle(&operator, teams).await;
        self.repair(&operator, teams).await;
        operator.stop().await;
    }

    /// The same with account groups, whose listing leaves out members: one reading each.
    pub async fn bare(&mut self) {
        let teams = self.sizes.teams;
        self.world
            .fresh(Shape::GerritAndAccount, &json!({"groupListMembers": false}), true)
            .await;
        let operator = self.create("", teams).await;
        self.change(&operator, teams).await;
        self.check(&operator, teams).await;
        operator.stop().await;
    }

    /// With the limits that the vendor publishes, on both sides.
    pub async fn limits(&mut self) {
        let teams = self.sizes.limited;
        self.world
            .fresh(Shape::GerritAndWorkspace, &json!({"limits": true}), false)
            .await;
        self.world.declare(teams, "10m").await;
        let operator = Operator::start().await;
        operator.until_ready(teams).await;
        self.put(
            "vendor_limits",
            "create_s",
            rounded(operator.started.elapsed().as_secs_f64()),
        );
        operator.stop().await;
    }

    /// Many groups in the workspace alone.
    pub async fn many(&mut self) {
        let teams = self.sizes.many;
        self.put_alone("n10000", json!({}));
        self.world.fresh(Shape::Workspace, &json!({}), true).await;
        self.world.declare(teams, "10m").await;
        let before = self.world.calls().await;
        let operator = Operator::start().await;
        operator.until_ready(teams).await;
        self.put(
            "n10000",
            "create_s",
            rounded(operator.started.elapsed().as_secs_f64()),
        );
        self.world.calls().await.since(&before).print();
        self.peak("n10000", &operator);
        operator.stop().await;
        self.restart("n10000", teams).await.stop().await;
    }

    /// Everything to create. Without a name only calls are counted.
    async fn create(&mut self, name: &str, teams: usize) -> Operator {
        self.world.declare(teams, "10m").await;
        let before = self.world.calls().await;
        let operator = Operator::start().await;
        operator.until_ready(teams).await;
        let seconds = operator.started.elapsed().as_secs_f64();
        eprintln!("   created in {seconds:.1} s");
        let calls = self.world.calls().await.since(&before);
        self.ratio("create", &calls, 2 * teams, teams).await;
        if !name.is_empty() {
            self.put(name, "create_s", rounded(seconds));
            self.peak(name, &operator);
        }
        operator
    }

    /// One member more in each team.
    async fn change(&mut self, operator: &Operator, teams: usize) {
        let (before, begun) = (self.world.calls().await, Instant::now());
        self.world.grow(teams).await;
        operator.until_ready(teams).await;
        eprintln!("   changed in {:.1} s", begun.elapsed().as_secs_f64());
        let calls = self.world.calls().await.since(&before);
        self.ratio("change", &calls, 2 * teams, teams).await;
    }

    /// Nothing to do after a restart.
    async fn restart(&mut self, name: &str, teams: usize) -> Operator {
        let before = self.world.calls().await;
        let operator = Operator::start().await;
        operator.until_seen(teams).await;
        let seconds = operator.started.elapsed().as_secs_f64();
        self.put(name, "ready_s", rounded(seconds));
        eprintln!("   seen in {seconds:.1} s");
        self.world.calls().await.since(&before).print();
        self.peak(name, &operator);
        operator
    }

    /// One drift check of everything, after one that brought all teams into one time.
    async fn check(&mut self, operator: &Operator, teams: usize) -> Check {
        const INTERVAL: u64 = 60;
        self.world.every(teams, "60s").await;
        operator.until_ready(teams).await;
        rest(operator).await;
        until(next_check(Timestamp::now(), INTERVAL)).await;
        sleep(Duration::from_secs(5)).await;
        rest(operator).await;
        let due = next_check(Timestamp::now(), INTERVAL);
        until(Timestamp::from_millisecond(due.as_millisecond() - 3_000).unwrap()).await;
        let (calls, kubernetes) = (self.world.calls().await, self.world.kubernetes_writes().await);
        let passes = operator.passes().await;
        until(due).await;
        let begun = Instant::now();
        while operator.passes().await < passes + teams as u64 {
            sleep(Duration::from_millis(50)).await;
            assert!(
                begun.elapsed() < Duration::from_mins(10),
                "the check does not end"
            );
        }
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("   checked in {seconds:.1} s");
        let calls = self.world.calls().await.since(&calls);
        let kubernetes = self.world.kubernetes_writes().await.since(&kubernetes);
        self.ratio("check", &calls, 0, teams).await;
        kubernetes.print();
        Check {
            seconds,
            writes: calls.writes + kubernetes.writes,
            calls,
        }
    }

    /// Processor time while nothing changes. At this interval the five minutes hold about one check of everything.
    async fn idle(&mut self, operator: &Operator, teams: usize) {
        self.world.every(teams, "5m").await;
        operator.until_ready(teams).await;
        rest(operator).await;
        eprintln!("   idling for {:?}", self.sizes.idle);
        let before = operator.cpu_s();
        sleep(self.sizes.idle).await;
        let used = operator.cpu_s() - before;
        let hours = self.sizes.idle.as_secs_f64() / 3_600.0;
        eprintln!("   {used:.2} s of processor");
        self.put_alone("idle_cpu_s_per_h", rounded(used / hours));
    }

    /// Strangers added and members removed by hand, half of them in each system.
    async fn repair(&mut self, operator: &Operator, teams: usize) {
        self.world.every(teams, "10s").await;
        operator.until_ready(teams).await;
        let drifts = (0..self.sizes.drifts).map(|drift| {
            let (world, team) = (&self.world, drift * (teams / self.sizes.drifts));
            async move {
                // At every moment of the interval.
                sleep(Duration::from_millis(1_370 * drift as u64)).await;
                let adds = drift % 4 < 2;
                if drift % 2 == 0 {
                    repaired_in_gerrit(world, team, adds).await
                } else {
                    repaired_in_workspace(world, team, adds).await
                }
            }
        });
        let mut seconds = join_all(drifts).await;
        seconds.sort_by(f64::total_cmp);
        eprintln!("   repaired after {seconds:.1?} s");
        let at = (seconds.len() * 99).div_ceil(100).max(1);
        self.put_alone("repair_s_p99", rounded(seconds[at - 1]));
    }

    /// Keeps the worse of both listing modes.
    async fn ratio(&mut self, what: &str, calls: &Calls, writes: usize, teams: usize) {
        let extent = self.world.extent().await;
        let single = if self.world.lists_members() { 0 } else { teams };
        let floor = (writes + single) as u64 + extent.pages();
        let ratio = calls.requests() as f64 / floor as f64;
        eprintln!(
            "   {what}: {} requests, floor {floor}, ratio {ratio:.3}",
            calls.requests()
        );
        calls.print();
        let before = self.results["calls_ratio"][what].as_f64();
        if before.is_none_or(|before| ratio > before) {
            self.put("calls_ratio", what, rounded(ratio));
            self.put("calls_ratio", &format!("{what}_floor"), json!(floor));
            self.put(
                "calls_ratio",
                &format!("{what}_requests"),
                json!(calls.requests()),
            );
        }
    }

    fn peak(&mut self, name: &str, operator: &Operator) {
        let before = self.results[name]["rss_mb"].as_f64().unwrap_or_default();
        let peak = operator.peak_mb();
        eprintln!("   peak {peak:.1} MB");
        self.put(name, "rss_mb", rounded(peak.max(before)));
    }

    fn put(&mut self, object: &str, key: &str, value: Value) {
        let all = self.results.as_object_mut().unwrap();
        let inner = all.entry(object).or_insert_with(|| Value::Object(Map::new()));
        inner[key] = value;
    }

    fn put_alone(&mut self, key: &str, value: Value) {
        self.results[key] = value;
    }
}

struct Check {
    seconds: f64,
    calls: Calls,
    writes: u64,
}

async fn until(time: Timestamp) {
    let left = Duration::try_from(time.duration_since(Timestamp::now()));
    sleep(left.unwrap_or_default()).await;
}

/// Waits until no pass has ended for a while.
async fn rest(operator: &Operator) {
    let mut passes = operator.passes().await;
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_secs(5) {
        sleep(Duration::from_millis(500)).await;
        let now = operator.passes().await;
        if now != passes {
            (passes, since) = (now, Instant::now());
        }
    }
}

async fn eventually(mut look: impl AsyncFnMut() -> bool) -> f64 {
    let begun = Instant::now();
    while !look().await {
        assert!(begun.elapsed() < Duration::from_mins(5), "never repaired");
        sleep(Duration::from_millis(200)).await;
    }
    begun.elapsed().as_secs_f64()
}

async fn repaired_in_gerrit(world: &World, team: usize, adds: bool) -> f64 {
    let (group, whole) = (world.group(team), world.in_gerrit(team).await);
    if adds {
        let stranger = world.account(member(team, MEMBERS + 1));
        world.gerrit.add_member(&group, stranger).await;
    } else {
        let one = world.account(member(team, 0));
        world.gerrit.remove_member(&group, one).await;
    }
    eventually(async || world.in_gerrit(team).await == whole).await
}

async fn repaired_in_workspace(world: &World, team: usize, adds: bool) -> f64 {
    let (id, whole) = world.in_workspace(team).await;
    let operation = if adds {
        let stranger = world.user(member(team, MEMBERS + 1));
        json!({"op": "add", "path": "members", "value": [{"value": stranger}]})
    } else {
        let one = world.user(member(team, 0));
        json!({"op": "remove", "path": format!("members[value eq \"{one}\"]")})
    };
    world.patch_workspace_group(&id, operation).await;
    eventually(async || world.in_workspace(team).await.1 == whole).await
}
