//! `limekiln rooms` and `limekiln demo`.

use image::GenericImageView;
use serde_json::Value;

use crate::context::{TestContext, checkpoint};

#[test]
fn rooms_come_with_masks_and_instructions() {
    let context = TestContext::new();
    assert_eq!(
        context.succeed(&["rooms", "--count", "3", "--seed", "4", "--out", "one"]),
        "one/scenes.jsonl\n"
    );
    context.succeed(&["rooms", "--count", "3", "--seed", "4", "--out", "two"]);
    let lines = std::fs::read_to_string(context.path("one/scenes.jsonl")).unwrap();
    let scenes: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(scenes.len(), 3);
    for (index, scene) in scenes.iter().enumerate() {
        let file = |key: &str| format!("one/{}", scene[key].as_str().unwrap());
        assert_eq!(file("input"), format!("one/{index:05}-input.png"));
        assert_eq!(file("mask"), format!("one/{index:05}-mask.png"));
        let [input, mask, target] =
            ["input", "mask", "target"].map(|key| image::open(context.path(&file(key))).unwrap());
        assert_eq!(input.dimensions(), (128, 128));
        let (input, mask, target) = (input.into_rgb8(), mask.into_luma8(), target.into_rgb8());
        assert!(mask.iter().all(|value| [0, 255].contains(value)));
        // The perfect edit changes the object and nothing else (its soft edge apart).
        let moved = |x, y| input.get_pixel(x, y) != target.get_pixel(x, y);
        let near = |x: u32, y: u32| {
            (x.saturating_sub(1)..=(x + 1).min(127)).any(|x| {
                (y.saturating_sub(1)..=(y + 1).min(127)).any(|y| mask.get_pixel(x, y).0[0] == 255)
            })
        };
        assert!(
            (0..128).all(|y| (0..128).all(|x| !moved(x, y) || near(x, y))),
            "room {index}"
        );
        assert!(!scene["instruction"].as_str().unwrap().is_empty() && scene["object"].is_string());
        for key in ["input", "mask", "colored", "target"] {
            let name = scene[key].as_str().unwrap();
            let read = |folder| std::fs::read(context.path(&format!("{folder}/{name}"))).unwrap();
            assert_eq!(
                read("one"),
                read("two"),
                "the same seed gives the same rooms"
            );
        }
    }
}

/// Rooms that are not flat come with all that an editor can be judged by.
#[test]
fn rooms_of_other_styles_come_with_mattes_and_twins() {
    let context = TestContext::new();
    for style in ["rich", "second"] {
        context.succeed(&[
            "rooms", "--count", "6", "--style", style, "--size", "160", "--out", style,
        ]);
        let lines =
            std::fs::read_to_string(context.path(&format!("{style}/scenes.jsonl"))).unwrap();
        let mut jpegs = 0;
        for line in lines.lines() {
            let scene: Value = serde_json::from_str(line).unwrap();
            let path =
                |key: &str| context.path(&format!("{style}/{}", scene[key].as_str().unwrap()));
            for key in ["input", "mask", "colored", "target", "matte", "twin"] {
                assert_eq!(
                    image::open(path(key)).unwrap().dimensions(),
                    (160, 160),
                    "{style} {key}"
                );
            }
            let color = scene["seen_color"].as_str().unwrap();
            assert!(color.len() == 7 && color.starts_with('#'), "{color}");
            let twin = std::fs::read(path("twin")).unwrap();
            assert!(
                twin.windows(4).any(|chunk| chunk == b"iCCP"),
                "the twin says whose codes it has"
            );
            jpegs += u32::from(
                path("input")
                    .extension()
                    .is_some_and(|extension| extension == "jpg"),
            );
        }
        assert_eq!(jpegs > 0, style == "rich", "{style}: {jpegs}");
    }
}

#[test]
fn the_demo_leaves_one_picture() {
    let context = TestContext::new();
    let model = checkpoint("sd2");
    let printed = context.succeed(&["demo", "--steps", "2", "--model", &model, "-o", "sheet.png"]);
    assert_eq!(printed, "sheet.png\n");
    let (width, height) = image::open(context.path("sheet.png")).unwrap().dimensions();
    assert!(
        width > 900 && height > 700,
        "three tiles in two rows: {width}x{height}"
    );
}
