//! `limekiln eval rooms`.

use serde_json::Value;

use crate::context::{TestContext, checkpoint};

fn eval(args: &[&str]) -> String {
    let model = checkpoint("sd2");
    let own = [
        "eval",
        "rooms",
        "--count",
        "2",
        "--steps",
        "2",
        "--model",
        &model,
        "--presets",
        "official,official+mask",
    ];
    TestContext::new().succeed(&[&own[..], args].concat())
}

#[test]
fn scores_are_a_table() {
    let table = eval(&[]);
    for says in [
        "VAE alone",
        "base",
        "base at official's",
        "IoU",
        "color success",
        "2 rooms",
    ] {
        assert!(table.contains(says), "{says}: {table}");
    }
}

#[test]
fn scores_are_the_same_however_many_rooms_are_edited_at_a_time() {
    let read = |jobs| -> Value {
        serde_json::from_str(&eval(&[
            "--json",
            "--jobs",
            jobs,
            "--sweep",
            "--sweep-scales",
            "2,4",
        ]))
        .unwrap()
    };
    let (one, two) = (read("1"), read("2"));
    let scores = |report: &Value| -> Vec<(Value, Value)> {
        let rows = report["scenes"].as_array().unwrap();
        let scores = rows
            .iter()
            .flat_map(|row| row["scores"].as_array().unwrap());
        scores
            .map(|score| (score["outside"].clone(), score["iou"].clone()))
            .collect()
    };
    assert!(scores(&one).len() >= 2 * 6, "{one}");
    assert_eq!(scores(&one), scores(&two));
    assert_eq!(one["sweep"][0]["points"].as_array().unwrap().len(), 2);
    assert!(one["summary"]["floor"]["mean"].is_number());
    let iou = &one["summary"]["rows"];
    assert!(
        iou.as_array()
            .unwrap()
            .iter()
            .any(|row| row["iou"]["mean"].is_number())
    );
}

#[test]
fn results_at_full_size_are_scored_beside_the_true_edit() {
    let own = [
        "--picture-size",
        "256",
        "--finish",
        "none,paste",
        "--rich",
        "--no-base",
    ];
    let read = |jobs| -> Value {
        serde_json::from_str(&eval(&[&own[..], &["--json", "--jobs", jobs]].concat())).unwrap()
    };
    let (one, two) = (read("1"), read("2"));
    let lines = |report: &Value| -> Vec<Vec<Value>> {
        let lines = report["finished"]["rows"].as_array().unwrap().iter();
        // Everything but the times.
        let kept = [
            "label",
            "finish",
            "delta_e_median",
            "texture",
            "ring",
            "edge",
            "old_hue",
            "changed_outside",
        ];
        lines
            .map(|line| kept.map(|name| line[name].clone()).to_vec())
            .collect()
    };
    assert_eq!(lines(&one).len(), 2 * 2, "{one}");
    assert_eq!(lines(&one), lines(&two));
    assert_eq!(one["style"], "rich");
    let [none, paste] = [&one["finished"]["rows"][0], &one["finished"]["rows"][1]];
    assert_eq!([&none["finish"], &paste["finish"]], ["none", "paste"]);
    // Pasting leaves most of the picture alone; the model's own picture is new everywhere.
    let changed = |line: &Value| line["changed_outside"]["mean"].as_f64().unwrap();
    assert!(changed(paste) < changed(none), "{one}");
    assert!(
        one["scenes"][0]["scores"][0]["full"][0]["delta_e_mean"].is_number(),
        "{one}"
    );
}
