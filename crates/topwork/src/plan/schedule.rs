//! How the learning rate changes over a run: pure functions of the step, as in `transformers`.

use std::f64::consts::PI;

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// In a straight line to zero: `get_linear_schedule_with_warmup`.
    Linear,
    /// Along half a cosine to zero: `get_cosine_schedule_with_warmup`.
    Cosine,
    /// Not at all: `get_constant_schedule_with_warmup`.
    Constant,
}

impl Schedule {
    /// Every schedule, in the order in which they are listed to users.
    pub const ALL: [Self; 3] = [Self::Linear, Self::Cosine, Self::Constant];

    /// The name as `lr_scheduler_type` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Cosine => "cosine",
            Self::Constant => "constant",
        }
    }
}

/// What the learning rate is multiplied with at `step`, counted from 0, of `total`.
///
/// As in `transformers`, the warm-up starts at zero, so the first of its steps changes nothing.
pub fn learning_rate_factor(schedule: Schedule, step: usize, total: usize, warmup_steps: usize) -> f64 {
    if step < warmup_steps {
        return step as f64 / warmup_steps as f64;
    }
    let after = total.saturating_sub(warmup_steps).max(1) as f64;
    match schedule {
        Schedule::Linear => total.saturating_sub(step) as f64 / after,
        Schedule::Cosine => {
            let progress = (step - warmup_steps) as f64 / after;
            // Past the end the cosine would rise again; `transformers` lets it.
            if progress >= 1.0 { 0.0 } else { 0.5 * (1.0 + (PI * progress).cos()) }
        }
        Schedule::Constant => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of transformers' `get_*_schedule_with_warmup(optimizer, 4, 12)` at steps 0 to 12, from its formulas.
    #[test]
    fn factors_are_those_of_transformers() {
        let linear = [0.0, 0.25, 0.5, 0.75, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0];
        let cosine = [
            0.0,
            0.25,
            0.5,
            0.75,
            1.0,
            0.961_939_766_255_643_4,
            0.853_553_390_593_273_8,
            0.691_341_716_182_544_9,
            0.5,
            0.308_658_283_817_455_1,
            0.146_446_609_406_726_24,
            0.038_060_233_744_356_63,
            0.0,
        ];
        for step in 0..=12 {
            let factor = |schedule| learning_rate_factor(schedule, step, 12, 4);
            assert!((factor(Schedule::Linear) - linear[step]).abs() < 1e-15, "linear, step {step}");
            assert!((factor(Schedule::Cosine) - cosine[step]).abs() < 1e-15, "cosine, step {step}");
            assert_eq!(factor(Schedule::Constant), if step < 4 { linear[step] } else { 1.0 });
        }
    }

    #[test]
    fn without_warm_up_the_first_step_has_the_full_rate() {
        for schedule in Schedule::ALL {
            assert_eq!(learning_rate_factor(schedule, 0, 10, 0), 1.0);
        }
    }

    #[test]
    fn factors_stay_between_zero_and_one_for_any_sizes() {
        for schedule in Schedule::ALL {
            for (total, warmup) in [(0, 0), (1, 0), (1, 1), (3, 9), (7, 7), (100, 10)] {
                for step in 0..120 {
                    let factor = learning_rate_factor(schedule, step, total, warmup);
                    assert!((0.0..=1.0).contains(&factor), "{schedule:?} {step} {total} {warmup}: {factor}");
                }
            }
        }
    }
}
