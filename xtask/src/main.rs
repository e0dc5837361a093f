//! Chores of the repository.
mod step;
fn main() -> anyhow::Result<()> {
    let mut a = std::env::args().skip(1);
    let b: usize = a.next().map_or(32, |x| x.parse().unwrap());
    let t: usize = a.next().map_or(128, |x| x.parse().unwrap());
    let mut s = step::Step::new(b, t, 0)?;
    let mut p = step::Products::new(b, t);
    for _ in 0..6 {
        let m = p.run();
        let st = s.run();
        println!("products {m:.1} step {:.1} ({st:?})", st.total());
    }
    Ok(())
}
