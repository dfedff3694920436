//! One server that is killed again and again, and one whose database goes away.

use super::book::{Book, Rules};
use super::terminal::Servers;
use super::world::{World, compare, live, roll_out, wait, wait_confirmed};
use crate::chance::Chance;
use crate::operator::Operator;
use crate::postgres::Postgres;
use anyhow::Result;
use std::time::Duration;

const RULES: Rules = Rules { waves: &[100, 400, 1000], in_flight: 200 };
const TERMINALS: usize = 1000;
const FEW: Rules = Rules { waves: &[30, 300], in_flight: 60 };
/// The longest that the database stays away.
const AWAY: usize = 3000;

/// Kills the server at moments that chance picks, 1000 terminals long.
pub(super) fn server(chance: &mut Chance, long: bool) -> Result<String> {
    let kills = if long { 100 } else { 10 };
    let world = World::new()?;
    let mut operator = Operator::start(&world.programs, &world.path("server"), &world.root())?;
    let (package, target) = world.release("2.0", 2)?;
    operator.publish(&package)?;
    let mut terminals = world.terminals(&operator, TERMINALS)?;
    let rollout = roll_out(&operator, "2.0", RULES)?;
    let (book, servers, ca) = (Book::new(RULES), Servers::default(), operator.ca());
    servers.set(vec![operator.address().into()]);
    let seed = chance.number();
    let mut moments: Vec<usize> = (0..kills).map(|_| chance.below(TERMINALS)).collect();
    moments.sort_unstable();
    live(&mut terminals, &ca, &servers, &target, &book, seed, || {
        for moment in &moments {
            wait(&book, *moment, None)?;
            operator.kill_and_restart()?;
        }
        wait(&book, TERMINALS, Some(&operator))?;
        wait_confirmed(&operator, &rollout, 1000)
    })?;
    let (kept, sent) = compare(&operator, &book)?;
    Ok(format!(
        "{kills} kills of the server in a rollout to {TERMINALS} terminals; {kept} reports \
         acknowledged ({sent} ended), 0 lost, 0 counted twice, 0 offered outside their wave"
    ))
}

/// The database breaks off and comes back, while 300 terminals update.
pub(super) fn database(chance: &mut Chance, long: bool) -> Result<String> {
    let breaks = if long { 30 } else { 3 };
    let world = World::new()?;
    let mut postgres = Postgres::start()?;
    let url = postgres.url(postgres.port());
    let place = world.path("server");
    let options = ["--database", &url];
    let operator = Operator::start_with(&world.programs, &place, &world.root(), &options)?;
    let (package, target) = world.release("2.0", 2)?;
    operator.publish(&package)?;
    let mut terminals = world.terminals(&operator, 300)?;
    let rollout = roll_out(&operator, "2.0", FEW)?;
    let (book, servers, ca) = (Book::new(FEW), Servers::default(), operator.ca());
    servers.set(vec![operator.address().into()]);
    let seed = chance.number();
    let mut moments: Vec<usize> = (0..breaks).map(|_| chance.below(300)).collect();
    moments.sort_unstable();
    live(&mut terminals, &ca, &servers, &target, &book, seed, || {
        for moment in &moments {
            wait(&book, *moment, None)?;
            postgres.crash()?;
            let away = u64::try_from(chance.below(AWAY)).unwrap_or(0);
            std::thread::sleep(Duration::from_millis(away));
            postgres.again()?;
        }
        wait(&book, 300, None)?;
        wait_confirmed(&operator, &rollout, 300)
    })?;
    let (kept, _) = compare(&operator, &book)?;
    Ok(format!(
        "{breaks} crashes of PostgreSQL in a rollout to 300 terminals; {kept} reports \
         acknowledged, 0 lost, 0 counted twice, 0 offered outside their wave"
    ))
}
