//! What holds for every score on the list, and the values that others computed.

use faer::Mat;
use serde_json::Value;

use super::logme::by_class;
use super::*;
use crate::bootstrap::Draws;
use crate::matrix::{select_rows, squared_distances};
use crate::similarity::{KernelSample, frechet, linear_cka};

fn fixture() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/scores.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn iris(fixture: &Value) -> (Mat<f64>, Vec<u32>) {
    let features = Mat::from_fn(150, 4, |row, column| fixture["iris_features"][row][column].as_f64().unwrap());
    let classes = (0..150).map(|row| fixture["iris_classes"][row].as_u64().unwrap() as u32).collect();
    (features, classes)
}

/// More columns than rows, as `wide` in `oracles.py`.
fn wide() -> (Mat<f64>, Vec<u32>) {
    let classes: Vec<u32> = (0..24).map(|row| if row < 15 { row % 3 } else { 2 }).collect();
    let features = Mat::from_fn(24, 40, |row, column| {
        (0.37 * ((row + 1) * (column + 1)) as f64).sin() + 0.3 * f64::from(column as u32 % 3 == classes[row])
    });
    (features, classes)
}

/// A key for each row.
fn numbers(rows: usize) -> Vec<u64> {
    (0..rows as u64).collect()
}

fn softmax_rows(features: &Mat<f64>) -> Mat<f64> {
    let total = |row: usize| (0..features.ncols()).map(|c| features[(row, c)].exp()).sum::<f64>();
    Mat::from_fn(features.nrows(), features.ncols(), |row, column| features[(row, column)].exp() / total(row))
}

#[test]
fn values_are_those_that_others_computed() {
    let fixture = fixture();
    for (name, (features, classes)) in [("iris", iris(&fixture)), ("wide", wide())] {
        let f = features.as_ref();
        let optimum = pactran(f, &classes).unwrap();
        let computed = [
            ("logme", logme(f, &classes), 1e-9),
            ("h_score", h_score(f, &classes), 1e-9),
            ("shrinkage", super::h_score::shrinkage(f), 1e-9),
            ("transrate", transrate(f, &classes), 1e-9),
            ("gbc", gbc(f, &classes), 1e-7),
            ("parc", parc(f, &classes, &numbers(f.nrows())), 1e-6),
            ("leep", leep(softmax_rows(&features).as_ref(), &classes), 1e-9),
            ("pactran_cross_entropy", Some(optimum.optimum), 1e-8),
            ("pactran", Some(optimum.bound), 1e-6),
            ("knn_1", knn_accuracy(f, &classes, &numbers(f.nrows()), 1), 1e-9),
            ("knn_3", knn_accuracy(f, &classes, &numbers(f.nrows()), 3), 1e-9),
            ("knn_5", knn_accuracy(f, &classes, &numbers(f.nrows()), 5), 1e-9),
            ("knn_13", knn_accuracy(f, &classes, &numbers(f.nrows()), 13), 1e-9),
        ];
        for (score, value, tolerance) in computed {
            let (value, expected) = (value.unwrap(), fixture[name][score].as_f64().unwrap());
            assert!(
                (value - expected).abs() <= tolerance * expected.abs().max(1.0),
                "{name}: {score}: {value}, not {expected}"
            );
        }
        let probe = crate::logistic::Logistic::fit(f, &classes, 3, 0.1, crate::logistic::Effort::EXACT, None);
        assert!((probe.objective - fixture[name]["probe_loss"].as_f64().unwrap()).abs() < 1e-8, "{name}: probe");
    }
}

#[test]
fn iris_has_the_published_values() {
    let fixture = fixture();
    let (features, classes) = iris(&fixture);
    let near = |value: f64, printed: f64, digits: i32| {
        assert!((value - printed).abs() < 1.5 * 10f64.powi(-digits), "{value}, not {printed}");
    };
    let f = features.as_ref();
    near(logme(f, &classes).unwrap(), -0.160_060_2, 7);
    near(h_score(f, &classes).unwrap(), 1.177_842_5, 7);
    // Printed with a digit more, of features as 32-bit numbers.
    let rounded = Mat::from_fn(150, 4, |row, column| f64::from(f[(row, column)] as f32));
    near(h_score(rounded.as_ref(), &classes).unwrap(), 1.177_842_48, 8);
    near(h_score_unshrunk(f, &classes).unwrap(), 1.191_898_8, 7);
    near(transrate(f, &classes).unwrap(), 0.589_405_4, 7);
    near(gbc(f, &classes).unwrap(), -0.230_685_6, 7);
    let of_classes = by_class(f, &classes).unwrap();
    [0.441_742, -0.639_448, -0.282_475]
        .into_iter()
        .zip(of_classes)
        .for_each(|(printed, value)| near(value, printed, 6));
    let [versicolor, virginica] = [50..100, 100..150].map(|rows| select_rows(f, &rows.collect::<Vec<_>>()));
    let kernel = KernelSample::new(versicolor.as_ref(), virginica.as_ref()).unwrap();
    near(kernel.gamma, 1.0 / 1.66, 9);
    let mmd = kernel.compare(50, 0);
    near(mmd.mmd2, 0.560_833_5, 7);
    assert!(mmd.p_value < 0.05 && mmd.interval.0 < mmd.mmd2 && mmd.mmd2 < mmd.interval.1);
    near(frechet(versicolor.as_ref(), virginica.as_ref()).unwrap(), 2.674_509_6, 7);
    near(linear_cka(f.subcols(0, 2), f.subcols(2, 2)).unwrap(), 0.770_293_6, 7);
}

/// Three classes with different means in noise, 30 columns.
fn separable(rows: usize) -> (Mat<f64>, Vec<u32>) {
    let mut draws = Draws::new(7);
    let classes: Vec<u32> = (0..rows).map(|row| (row % 3) as u32).collect();
    let mut features = Mat::zeros(rows, 30);
    for row in 0..rows {
        for column in 0..30 {
            let noise: f64 = (0..6).map(|_| draws.below(1 << 20) as f64 / (1 << 20) as f64).sum::<f64>() - 3.0;
            features[(row, column)] = noise + 1.5 * f64::from(column % 3 == classes[row] as usize);
        }
    }
    (features, classes)
}

/// Of 600 rows PARC looks at 500.
#[test]
fn the_order_of_rows_changes_nothing() {
    let (features, classes) = separable(600);
    let order = Draws::new(1).permutation(600);
    // The same for copies, and in no order of the rows.
    let keys: Vec<u64> = (0..600).map(|row| crate::matrix::mix(row / 2)).collect();
    let moved_keys: Vec<u64> = order.iter().map(|&row| keys[row]).collect();
    let (moved, labels) =
        (select_rows(features.as_ref(), &order), order.iter().map(|&row| classes[row]).collect::<Vec<_>>());
    for score in SCORES {
        let a = (score.compute)(features.as_ref(), &classes, &keys).unwrap();
        let b = (score.compute)(moved.as_ref(), &labels, &moved_keys).unwrap();
        assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{}: {a} and {b}", score.name);
        let again = (score.compute)(features.as_ref(), &classes, &keys).unwrap();
        assert!(a.to_bits() == again.to_bits(), "{}: not the same twice", score.name);
    }
}

#[test]
fn every_feature_of_a_row_is_asked_in_the_same_fold() {
    let (features, classes) = separable(200);
    let others = Mat::from_fn(200, 3, |row, column| (row as f64 * 0.7 + column as f64).sin());
    let keys: Vec<u64> = (0..200).map(crate::matrix::mix).collect();
    let of_rows = |features: &Mat<f64>| folds(features.as_ref(), &classes, &keys, FOLDS);
    assert_eq!(of_rows(&features), of_rows(&others));
    for class in 0..3 {
        let of_class = |fold: usize| {
            of_rows(&features).iter().zip(&classes).filter(|(own, label)| **own == fold && **label == class).count()
        };
        assert!((0..FOLDS).all(|fold| (12..=15).contains(&of_class(fold))), "class {class}");
    }
}

#[test]
fn shuffled_classes_score_less() {
    let (features, classes) = separable(120);
    for score in SCORES {
        let own = (score.compute)(features.as_ref(), &classes, &numbers(120)).unwrap();
        for seed in 0..5 {
            let shuffled: Vec<u32> = Draws::new(seed).permutation(120).into_iter().map(|row| classes[row]).collect();
            let other = (score.compute)(features.as_ref(), &shuffled, &numbers(120)).unwrap();
            assert!(own > other, "{}: {own} with the true classes, {other} with others", score.name);
        }
    }
}

/// Constant columns, two rows, a class with one row, more classes than rows a class, rows that repeat.
#[test]
fn whatever_the_rows_a_score_is_a_number_or_none() {
    let (features, classes) = separable(40);
    let constant = Mat::from_fn(40, 30, |_, _| 1.0);
    let zero = Mat::<f64>::zeros(40, 30);
    let repeated = Mat::from_fn(40, 30, |row, column| features[(row % 2, column)]);
    let one_each: Vec<u32> = (0..40).collect();
    let lonely: Vec<u32> = (0..40).map(|row| u32::from(row == 7)).collect();
    let two = select_rows(features.as_ref(), &[0, 1]);
    let huge = Mat::from_fn(40, 30, |row, column| 1e30 * features[(row, column)]);
    for score in SCORES {
        let finite = |features: &Mat<f64>, classes: &[u32], what: &str| {
            let value = (score.compute)(features.as_ref(), classes, &numbers(classes.len())).unwrap();
            assert!(value.is_finite(), "{}: {value} for {what}", score.name);
        };
        finite(&constant, &classes, "constant features");
        finite(&zero, &classes, "features of zero");
        finite(&repeated, &classes, "two different rows");
        finite(&features, &one_each, "a class for each row");
        finite(&features, &lonely, "a class with one row");
        finite(&two, &[0, 1], "two rows");
        finite(&huge, &classes, "huge features");
        let none = |features: &Mat<f64>, classes: &[u32]| {
            assert_eq!((score.compute)(features.as_ref(), classes, &numbers(classes.len())), None);
        };
        none(&features, &[1; 40]);
        none(&features, &classes[..39]);
        none(&Mat::from_fn(40, 30, |row, _| if row == 3 { f64::NAN } else { 1.0 }), &classes);
        none(&Mat::zeros(0, 30), &[]);
    }
}

#[test]
fn equal_rows_are_never_told_their_own_answer() {
    // Each text twice: were the copies in different folds, the probe would know every class, though there is none to know.
    let mut draws = Draws::new(5);
    let noise = Mat::from_fn(40, 60, |_, _| draws.below(1000) as f64);
    let features = Mat::from_fn(80, 60, |row, column| noise[(row / 2, column)]);
    let classes: Vec<u32> = (0..80).map(|row| u32::from(row / 2 % 3 == 0)).collect();
    let keys: Vec<u64> = (0..80).map(|row| row / 2).collect();
    let accuracy = cross_validate(features.as_ref(), &classes, &keys).unwrap().accuracy(&classes);
    assert!(accuracy < 0.8, "{accuracy}");
    let nearest = knn_accuracy(features.as_ref(), &classes, &keys, 1).unwrap();
    assert!(nearest < 0.8, "{nearest}");
    // Rows that are equal for the model alone, which a text's key does not tell.
    for keys in [keys, numbers(80)] {
        let of_rows = folds(features.as_ref(), &classes, &keys, FOLDS);
        assert!(of_rows.chunks(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn distances_are_those_of_the_rows() {
    let (features, _) = separable(12);
    let distances = squared_distances(features.as_ref(), features.as_ref());
    for (i, j) in [(0, 0), (3, 7), (11, 2)] {
        let own: f64 = (0..30).map(|c| (features[(i, c)] - features[(j, c)]).powi(2)).sum();
        assert!((distances[(i, j)] - own).abs() < 1e-9);
    }
}
