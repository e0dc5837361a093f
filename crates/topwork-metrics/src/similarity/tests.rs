//! What holds for the distances of sets.

use faer::Mat;

use super::*;
use crate::bootstrap::Draws;

/// Rows of noise around a mean.
fn around(mean: f64, rows: usize, columns: usize, seed: u64) -> Mat<f64> {
    let mut draws = Draws::new(seed);
    let mut features = Mat::zeros(rows, columns);
    for row in 0..rows {
        for column in 0..columns {
            let noise: f64 = (0..6).map(|_| draws.below(1 << 20) as f64 / (1 << 20) as f64).sum::<f64>() - 3.0;
            features[(row, column)] = mean + noise;
        }
    }
    features
}

#[test]
fn sets_that_are_alike_lie_near_and_others_far() {
    let (a, alike, near, far) =
        (around(0.0, 150, 8, 1), around(0.0, 150, 8, 2), around(0.4, 150, 8, 3), around(3.0, 150, 8, 4));
    let kernel = |b: &Mat<f64>| KernelSample::new(a.as_ref(), b.as_ref()).unwrap().compare(200, 9);
    let told = |b: &Mat<f64>| two_sample(a.as_ref(), b.as_ref(), 200, 9).unwrap();
    let gaussian = |b: &Mat<f64>| frechet_of_components(a.as_ref(), b.as_ref()).unwrap();
    assert!(kernel(&alike).mmd2 < kernel(&near).mmd2 && kernel(&near).mmd2 < kernel(&far).mmd2);
    assert!(kernel(&alike).p_value > 0.05 && kernel(&near).p_value < 0.01);
    assert!(told(&alike).distance < told(&near).distance && told(&far).distance > 1.95);
    assert!(told(&alike).sigmas < 3.0 && told(&near).sigmas > 3.0);
    assert!(gaussian(&alike) < gaussian(&near) && gaussian(&near) < gaussian(&far));
    let covered = |b: &Mat<f64>| coverage(a.as_ref(), b.as_ref()).unwrap().covered;
    assert!(covered(&alike) > 0.85 && covered(&near) < covered(&alike) && covered(&far) < 0.05);
}

#[test]
fn a_set_lies_at_no_distance_from_itself() {
    let a = around(0.0, 60, 6, 1);
    let classes: Vec<u32> = (0..60).map(|row| row % 3).collect();
    let set = LabelledRows { features: a.as_ref(), classes: &classes };
    assert!(otdd(set, set).unwrap() < 1e-6);
    assert!(frechet(a.as_ref(), a.as_ref()).unwrap() < 1e-9);
    assert!((linear_cka(a.as_ref(), a.as_ref()).unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn labels_count_in_the_distance_of_labelled_sets() {
    let a = around(0.0, 80, 4, 1);
    let of_sign: Vec<u32> = (0..80).map(|row| u32::from(a[(row, 0)] > 0.0)).collect();
    let of_other: Vec<u32> = (0..80).map(|row| u32::from(a[(row, 1)] > 0.0)).collect();
    let set = |classes| LabelledRows { features: a.as_ref(), classes };
    let renamed: Vec<u32> = of_sign.iter().map(|class| 1 - class).collect();
    // What counts is where the classes lie, not how they are called.
    assert!(otdd(set(&of_sign), set(&renamed)).unwrap() < 1e-6);
    assert!(otdd(set(&of_sign), set(&of_other)).unwrap() > 0.05);
}

#[test]
fn what_cannot_be_compared_is_none() {
    let (a, narrow, one) = (around(0.0, 20, 4, 1), around(0.0, 20, 3, 2), around(0.0, 1, 4, 3));
    let unknown = Mat::from_fn(20, 4, |_, _| f64::NAN);
    for b in [&narrow, &one, &unknown] {
        assert!(KernelSample::new(a.as_ref(), b.as_ref()).is_none());
        assert!(two_sample(a.as_ref(), b.as_ref(), 10, 0).is_none());
        assert!(frechet_of_components(a.as_ref(), b.as_ref()).is_none());
        assert!(coverage(a.as_ref(), b.as_ref()).is_none());
    }
    let constant = Mat::from_fn(20, 4, |_, _| 2.0);
    assert!(KernelSample::new(constant.as_ref(), constant.as_ref()).is_none());
    assert!(two_sample(constant.as_ref(), constant.as_ref(), 10, 0).unwrap().distance <= 1.0);
}
