"""Every scheduler's trajectory over fixed made-up network outputs, and its timesteps for many step counts."""

import warnings

import diffusers
import torch

import golden
import styles

CLASSES = {
    "euler-ancestral": diffusers.EulerAncestralDiscreteScheduler, "ddim": diffusers.DDIMScheduler, "pndm": diffusers.PNDMScheduler,
    "dpm++2m": diffusers.DPMSolverMultistepScheduler, "unipc": diffusers.UniPCMultistepScheduler,
    "euler": diffusers.EulerDiscreteScheduler, "deis": diffusers.DEISMultistepScheduler,
}
SPACINGS = ("linspace", "leading", "trailing")
SHAPE = (1, 2, 4, 4)
# timbrooks/instruct-pix2pix, whose keys carry over to any class that knows them.
PIX2PIX = {"_class_name": "EulerAncestralDiscreteScheduler", **styles.BETAS, "clip_sample": False, "prediction_type": "epsilon",
           "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None}


def cases():
    """(name, kind, file, steps, class switched to or None)"""
    out = []

    def add(kind, steps=20, label="", **config):
        file = {"_class_name": CLASSES[kind].__name__, **styles.BETAS, **config}
        out.append((f"{kind} {steps} {label}".strip(), file, steps, None))

    for kind in CLASSES:
        for spacing in SPACINGS:
            for prediction in ("epsilon", "v_prediction"):
                extra = {"skip_prk_steps": True} if kind == "pndm" else {"clip_sample": False} if kind == "ddim" else {}
                add(kind, label=f"{spacing} {prediction}", timestep_spacing=spacing, prediction_type=prediction, steps_offset=1, **extra)
    add("euler-ancestral", 100, "plain")
    add("euler-ancestral", 1, "plain")
    add("euler-ancestral", 10, "linear betas", beta_schedule="linear", beta_start=1e-4, beta_end=0.02)
    add("ddim", 10, "cosine betas", beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", clip_sample=False)
    add("euler-ancestral", 10, "trained betas", trained_betas=[0.001 + 0.00001 * i for i in range(1000)])
    add("euler-ancestral", 10, "zero snr", rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing")
    add("ddim", 10, "defaults")
    add("ddim", 10, "clipped", clip_sample=True, clip_sample_range=0.7, set_alpha_to_one=False)
    add("ddim", 10, "sample", prediction_type="sample", clip_sample=False)
    add("ddim", 10, "zero snr", rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing", clip_sample=False)
    add("ddim", 100, "plain", clip_sample=False)
    add("pndm", 20, "runge-kutta")
    add("pndm", 20, "runge-kutta v", prediction_type="v_prediction", timestep_spacing="trailing", set_alpha_to_one=True)
    add("pndm", 100, "plms", skip_prk_steps=True, steps_offset=1)
    add("pndm", 2, "plms", skip_prk_steps=True)
    for kind in ("dpm++2m", "unipc"):
        add(kind, 20, "karras", use_karras_sigmas=True)
        add(kind, 20, "karras sigma_min", use_karras_sigmas=True, final_sigmas_type="sigma_min", prediction_type="v_prediction")
        add(kind, 20, "sigma_min", final_sigmas_type="sigma_min")
        add(kind, 20, "third order", solver_order=3)
        add(kind, 8, "third order", solver_order=3)
        add(kind, 8, "first order", solver_order=1)
        add(kind, 8, "sample", prediction_type="sample")
        add(kind, 10, "zero snr", rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing")
        add(kind, 100, "plain")
        add(kind, 1, "plain")
    add("dpm++2m", 20, "heun", solver_type="heun")
    add("dpm++2m", 20, "euler at final", euler_at_final=True, final_sigmas_type="sigma_min")
    add("dpm++2m", 20, "clipped lambda", lambda_min_clipped=-2.5)
    add("dpm++2m", 20, "deis", algorithm_type="deis", solver_type="logrho", final_sigmas_type="sigma_min")
    add("dpm++2m", 8, "no lower order", lower_order_final=False, final_sigmas_type="sigma_min", solver_order=3)
    add("unipc", 20, "bh1", solver_type="bh1", final_sigmas_type="sigma_min")
    add("unipc", 20, "bh1 third order", solver_type="bh1", solver_order=3, prediction_type="v_prediction", final_sigmas_type="sigma_min")
    add("unipc", 20, "corrector off", disable_corrector=[0, 1, 7])
    add("unipc", 8, "no lower order", lower_order_final=False, final_sigmas_type="sigma_min")
    add("euler", 20, "karras", use_karras_sigmas=True)
    add("euler", 20, "karras sigma_min", use_karras_sigmas=True, final_sigmas_type="sigma_min", prediction_type="v_prediction",
        timestep_spacing="leading", steps_offset=1)
    add("euler", 20, "karras bounds", use_karras_sigmas=True, sigma_min=0.1, sigma_max=10.0)
    add("euler", 20, "sigma_min", final_sigmas_type="sigma_min")
    add("euler", 20, "continuous", timestep_type="continuous", prediction_type="v_prediction")
    add("euler", 8, "sample", prediction_type="sample")
    add("euler", 10, "zero snr", rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing")
    add("euler", 100, "plain")
    add("euler", 1, "plain")
    add("deis", 20, "karras", use_karras_sigmas=True)
    add("deis", 20, "third order", solver_order=3)
    add("deis", 8, "third order", solver_order=3)
    add("deis", 8, "no lower order", lower_order_final=False, solver_order=3)
    add("deis", 8, "first order", solver_order=1)
    add("deis", 8, "sample", prediction_type="sample")
    add("deis", 20, "of dpm", algorithm_type="dpmsolver++", solver_type="midpoint", final_sigmas_type="zero")
    add("deis", 100, "plain")
    add("deis", 1, "plain")
    for kind in CLASSES:
        out.append((f"pix2pix as {kind}", PIX2PIX, 20, kind))
    return out


def scheduler(file, switch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = getattr(diffusers, file["_class_name"]).from_config(file)
        return CLASSES[switch].from_config(own.config) if switch else own


@torch.no_grad()
def write():
    outputs = golden.normal(40, 130, *SHAPE)
    generator = torch.Generator().manual_seed(41)
    noise = torch.stack([torch.randn(SHAPE, generator=generator) for _ in range(130)])
    start = golden.normal(42, *SHAPE)
    tensors, table = {"outputs": outputs, "noise": noise, "start": start}, []
    for name, file, steps, switch in cases():
        s = scheduler(file, switch)
        s.set_timesteps(steps)
        x, seen = start * s.init_noise_sigma, []
        extra = {"generator": torch.Generator().manual_seed(41)} if isinstance(s, CLASSES["euler-ancestral"]) else {}
        for i, t in enumerate(s.timesteps):
            seen.append(s.scale_model_input(x, t).clone())
            x = s.step(outputs[i], t, x, **extra).prev_sample
            assert x.isfinite().all(), (name, i)
        tensors[f"{name}: inputs"] = torch.stack(seen)  # what the network is shown at each step
        tensors[f"{name}: last"] = x
        tensors[f"{name}: timesteps"] = s.timesteps.double()
        table.append({"name": name, "file": file, "steps": steps, "switch": switch})
    golden.write("schedulers", tensors)
    golden.write_json("schedulers", table)

    rows = []
    for kind, cls in CLASSES.items():
        for spacing in SPACINGS:
            for steps in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 17, 25, 30, 49, 50, 99, 100, 333):
                s = cls.from_config({**PIX2PIX, "_class_name": cls.__name__, "timestep_spacing": spacing})
                s.set_timesteps(steps)
                rows.append({"kind": kind, "spacing": spacing, "steps": steps, "timesteps": " ".join(f"{t:.9g}" for t in s.timesteps.tolist())})
    golden.write_json("timesteps", rows)
