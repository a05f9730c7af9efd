//! The built-in checkpoint, trained by `train/` on rooms that this crate draws; `model/README.md` is its card.

/// The checkpoint in diffusers layout, embedded: path inside the folder, and the file's bytes.
#[must_use]
pub fn checkpoint_files() -> &'static [(&'static str, &'static [u8])] {
    macro_rules! files {
        ($($path:literal),* $(,)?) => { &[$(($path, include_bytes!(concat!("../model/", $path)))),*] };
    }
    files![
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
}

/// The side of the pictures that it was trained on, in pixels.
pub const SIDE: u32 = 128;

/// The least side of a part of a picture that its U-Net edits as it does within the whole, in latent pixels.
pub const WINDOW_LEAST: usize = 12;
