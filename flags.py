"""Every flag of the entry scripts, as frozen configurations.

Each field of a configuration is a flag of the same name; the entry scripts
define the flags, read them once and hand the configuration down.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from typing import Any, TypeVar

from absl import flags

Config = TypeVar("Config")


def _flag(default: Any, help_text: str, **options: Any) -> Any:
    """A field that is a flag; options go to absl's definition."""
    metadata = {"help": help_text, **options}
    return dataclasses.field(default=default, metadata=metadata)


def _backend_flag() -> Any:
    return _flag(
        "tensorflow",
        "What Keras computes with; `jax` needs no TensorFlow.",
        choices=("tensorflow", "jax"),
    )


def _classes_flag() -> Any:
    return _flag(
        "",
        "Class list, one a line; by default classes.txt beside the manifest.",
    )


def _new_features_flag() -> Any:
    return _flag(
        "", "Directory for the features: local, s3:// or gs://.", required=True
    )


def _shard_size_flag() -> Any:
    return _flag(64, "Clips of a shard.", lower_bound=1)


@dataclasses.dataclass(frozen=True)
class RecipeConfig:
    """What decides the numbers of the features; the defaults are the paper's.

    It is written beside the features, and features of two recipes never mix.
    """

    modalities: str = _flag(
        "audio_visual",
        "What to extract; a clip without it is listed in failed.csv.",
        choices=("audio_visual", "audio", "visual"),
    )
    frame_rate_hz: float = _flag(
        1.0, "Frames sampled a second.", lower_bound=1e-3
    )
    edges: str = _flag(
        "structured_forest",
        "Edges that EdgeBoxes groups; `gradient` needs no file but is not "
        "the paper's.",
        choices=("structured_forest", "gradient"),
    )
    edge_forest: str = _flag(
        "", "OpenCV's structured edge forest (model.yml.gz)."
    )
    max_boxes: int = _flag(10, "Proposals kept of a frame.", lower_bound=1)
    region_network: str = _flag(
        "caffenet",
        "Base visual network: `caffenet`, `alexnet`, or `keras:NAME`, a "
        "backbone of keras.applications (keras:ConvNeXtTiny) cut at its last "
        "layer of stride 16; keras:NAME/LAYER names one of stride 16 or 32.",
    )
    region_weights: str = _flag(
        "",
        "Weights of the base visual network: .caffemodel or .npz, or of "
        "keras:NAME a file without the top, or `imagenet`; `random` leaves it "
        "untrained.",
    )
    roi_bins: int = _flag(
        6,
        "Bins along each side of a region; 1 leaves a maximum for each "
        "channel.",
        lower_bound=1,
        upper_bound=7,
    )
    short_side_px: int = _flag(
        600, "Frames are scaled to this short side,", lower_bound=64
    )
    long_side_px: int = _flag(
        1000, "unless their long side would pass this one.", lower_bound=64
    )
    audio_network: str = _flag(
        "vggish",
        "Base audio network; `keras_file` is the model that --audio_weights "
        "names.",
        choices=("vggish", "yamnet", "keras_file"),
    )
    audio_weights: str = _flag(
        "",
        "Weights of the base audio network: VGGish's checkpoint, YAMNet's "
        ".h5 or .tflite, or a .keras file that maps log-mel patches or "
        "waveforms to embeddings; `random` leaves VGGish or YAMNet untrained.",
    )
    embedding_activation: str = _flag(
        "relu",
        "Activation of VGGish's embedding: `relu` as in 2018, `none` as "
        "since 2020; without effect on YAMNet's.",
        choices=("relu", "none"),
    )
    segment_hop_s: float = _flag(
        0.48, "Seconds between segments.", lower_bound=0.01
    )
    cvssp_scaling_rate_hz: float = _flag(
        1.0,
        "Sampling rate that scales the spectrogram of the CVSSP systems: 1 as "
        "in revision 78b1646 of their code, which passes none to SciPy, 16000 "
        "as in 4634b83.",
        lower_bound=1.0,
    )
    missing_audio: str = _flag(
        "fail",
        "A clip without a sound track goes to failed.csv, or is silent.",
        choices=("fail", "silence"),
    )
    network_seed: int = _flag(0, "Seed of untrained base networks.")


@dataclasses.dataclass(frozen=True)
class ExtractionConfig:
    """Which clips to extract, where to and how many at a time."""

    manifest: str = _flag(
        "",
        "CSV file: clip_id,path,labels,split and optionally start_s,end_s.",
        required=True,
    )
    classes: str = _classes_flag()
    features_dir: str = _new_features_flag()
    allow_outside_paths: bool = _flag(
        False, "Permit media files outside the manifest's folder."
    )
    workers: int = _flag(
        0, "Processes; 0 for one a processor core.", lower_bound=0
    )
    scheduler: str = _flag(
        "",
        "Dask scheduler whose workers extract, instead of processes of this "
        "machine: tcp://host:port or a scheduler file.",
    )
    shard_size: int = _shard_size_flag()
    retry_failed: bool = _flag(False, "Try the clips of failed.csv once more.")
    boxes_from: str = _flag(
        "",
        "Complete features directory of the same clips to take boxes from, "
        "instead of searching them: its frame rate, edges and number of boxes "
        "then count. Audio features are taken too where their flags, or no "
        "--audio_weights, ask for the same ones.",
    )
    backend: str = _backend_flag()


@dataclasses.dataclass(frozen=True)
class ImportConfig:
    """Published arrays that become a features directory."""

    manifest: str = _flag(
        "",
        "CSV file as of extract_features.py; its media files need not exist.",
        required=True,
    )
    classes: str = _classes_flag()
    features_dir: str = _new_features_flag()
    audio: str = _flag(
        "",
        "Audio features: a folder of .npy [T, D], or FILE.h5 or FILE.h5:KEY "
        "with [clips, T, D].",
    )
    visual: str = _flag(
        "",
        "Visual features, likewise: [S, D] of frames, [S, K, D] or [S, rows, "
        "columns, D] of their regions.",
    )
    duration_s: float = _flag(
        10.0,
        "Length of the clips whose end_s the manifest does not tell.",
        lower_bound=0.01,
    )
    shard_size: int = _shard_size_flag()


@dataclasses.dataclass(frozen=True)
class FeatureExportConfig:
    """Features that are written as plain arrays."""

    features_dir: str = _flag(
        "", "Directory that extract_features.py wrote.", required=True
    )
    output_dir: str = _flag("", "Folder for the arrays.", required=True)
    format: str = _flag(
        "npy",
        "A folder for each field with a .npy for each clip, or an HDF5 file "
        "for each field.",
        choices=("npy", "h5"),
    )
    fields: str = _flag("segments,regions", "What to export, joined by commas.")
    manifest: str = _flag(
        "", "Manifest of the clips to export, in its order; all without it."
    )
    classes: str = _classes_flag()


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run; the defaults are the paper's row (a)."""

    system: str = _flag(
        "av_two_stream",
        "System of the paper's Table 1, or av_late_fusion, which is better.",
        choices=(
            "av_two_stream",
            "audio_two_stream",
            "visual_two_stream",
            "visual_wsddn",
            "av_one_stream",
            "av_late_fusion",
            "cvssp_gated_crnn",
            "cvssp_gated_crnn_attention",
        ),
    )
    features_dir: str = _flag(
        "", "Directory that extract_features.py wrote.", required=True
    )
    run_dir: str = _flag(
        "", "Directory of the run; an existing one goes on.", required=True
    )
    steps: int = _flag(25_000, "Training steps.", lower_bound=1)
    batch_size: int = _flag(24, "Clips of a batch.", lower_bound=1)
    learning_rate: float = _flag(1e-5, "Adam's learning rate.", lower_bound=0.0)
    adam_epsilon: float = _flag(1e-8, "Adam's epsilon.", lower_bound=0.0)
    dropout: float = _flag(
        0.5, "Dropout after fc6 and fc7.", lower_bound=0.0, upper_bound=0.99
    )
    fc_units: int = _flag(4096, "Neurons of fc6 and of fc7.", lower_bound=1)
    audio_units: int = _flag(128, "Neurons of the audio layer.", lower_bound=1)
    one_stream_pooling: str = _flag(
        "sum",
        "Pooling of the proposals' scores in av_one_stream: the paper's "
        "log-sum-exp, or log-mean-exp, which learns from the start.",
        choices=("sum", "mean"),
    )
    fc_weights: str = _flag(
        "",
        "CaffeNet's .caffemodel (or .npz) for fc6 and fc7; without it they "
        "start at random.",
    )
    precision: str = _flag(
        "float32",
        "Arithmetic of the layers; scores are always float32.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    xla: bool = _flag(
        True, "Compile the training step with XLA; JAX always does."
    )
    seed: int = _flag(0, "Seed of weights, dropout and batches.")
    log_every: int = _flag(
        50, "Steps between TensorBoard points.", lower_bound=1
    )
    validate_every: int = _flag(
        0,
        "Steps between validations; 0 for 500, or a tenth of --steps where "
        "that is less.",
        lower_bound=0,
    )
    checkpoint_every: int = _flag(
        500, "Steps between checkpoints.", lower_bound=1
    )
    keep_every: int = _flag(
        0,
        "Steps between checkpoints that stay, for evaluate.py --fuse; 0 for "
        "none.",
        lower_bound=0,
    )
    keep_last: int = _flag(
        10, "How many of these stay, the last ones.", lower_bound=1
    )
    save_interval_s: float = _flag(
        60.0,
        "Seconds at least between two checkpoints to go on from, and between "
        "TensorBoard's heat maps, which on an accelerator take longer than "
        "hundreds of steps.",
        lower_bound=0.0,
    )
    best_by: str = _flag(
        "map",
        "What the best checkpoint is best in on validation: mean average "
        "precision, or micro F1 with thresholds tuned there, which is noisy "
        "on few clips.",
        choices=("map", "f1"),
    )
    early_stopping: int = _flag(
        0,
        "Validations without a new best after which training ends; 0 for "
        "never.",
        lower_bound=0,
    )
    backend: str = _backend_flag()
    devices: str = _flag(
        "1",
        "Devices among which every batch is divided: a number, or `all`, of "
        "several hosts too; more than one with --backend=jax only.",
    )
    cache: str = _flag(
        "auto",
        "Where the features are held: on the accelerator, in host memory, or "
        "nowhere, read from their files ahead of use. `auto` takes the first "
        "one that is there and large enough; the accelerator with JAX only, "
        "which tells how much of its memory is free.",
        choices=("auto", "device", "host", "none"),
    )

    def choices(self) -> dict[str, Any]:
        """The flags that decide what is learned, without the bookkeeping."""
        bookkeeping = (
            "keep_last",
            "save_interval_s",
            "backend",
            "devices",
            "cache",
        )
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if not (name.endswith(("_dir", "_every")) or name in bookkeeping)
        }


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Which runs to evaluate or to fuse and how."""

    run_dir: str = _flag("", "Directory that train.py wrote.")
    runs: str = _flag(
        "",
        "Several run directories for tables of all, joined by commas; "
        "patterns as runs/* are allowed. Runs that differ in their seed only "
        "are one row.",
    )
    fuse: str = _flag(
        "",
        "Runs whose probabilities to average into --output_dir, joined by "
        "commas; RUN@400 is a run's kept checkpoint of step 400, RUN@all "
        "are all its kept ones.",
    )
    output_dir: str = _flag(
        "",
        "Where the tables of several runs go, which without it are printed "
        "only, or the fusion.",
    )
    features_dir: str = _flag(
        "", "Features to score; by default those of the training."
    )
    checkpoint: str = _flag(
        "last",
        "Which weights to score: the paper's last ones, or the best on "
        "validation.",
        choices=("last", "best"),
    )
    use_saved_scores: bool = _flag(
        False, "Tabulate the run's scores-*.npz without scoring again."
    )
    fallback_argmax: bool = _flag(
        False, "Force the best class where none passes (CVSSP's rule)."
    )
    truth: str = _flag(
        "",
        "Truth files that name validation and test clips, joined by commas: "
        "truth.json or DCASE's strong labels. Adds Tables 3 to 6, where and "
        "when the systems localize.",
    )
    dcase_output: str = _flag(
        "",
        "File for a single run's predictions in DCASE's format for audio "
        "tagging.",
    )
    dcase_events_output: str = _flag(
        "",
        "File for a single run's detected events in DCASE's format for sound "
        "event detection; needs --truth, to tune thresholds on validation.",
    )
    backend: str = _backend_flag()


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """The demonstration on drawn clips."""

    demo_dir: str = _flag(
        "demo_run", "Directory for clips, features and the run."
    )


@dataclasses.dataclass(frozen=True)
class FetchConfig:
    """Where published weights are put, and where they come from."""

    weights_dir: str = _flag("weights", "Local directory for the weights.")
    from_file: str = _flag(
        "",
        "Install this local file, checked like a download, instead of "
        "fetching; takes one name.",
    )
    list: bool = _flag(False, "List what can be fetched, and fetch nothing.")


@dataclasses.dataclass(frozen=True)
class ManifestConfig:
    """Which published lists become a manifest."""

    dataset: str = _flag(
        "dcase2017",
        "Data set.",
        choices=("dcase2017", "audioset", "llp", "ave", "vggsounder"),
    )
    lists_dir: str = _flag(
        "", "Folder with the data set's lists.", required=True
    )
    output: str = _flag(
        "",
        "Manifest to write, manifest.csv; classes.txt goes beside it, and "
        "truth.json of what is heard and seen (llp, ave, vggsounder).",
        required=True,
    )
    overwrite: bool = _flag(False, "Replace an existing manifest.")
    wanted_classes: str = _flag(
        "",
        "AudioSet: names or ids of the wanted classes, joined by `;`; all "
        "without it.",
    )
    val_percent: int = _flag(
        0,
        "AudioSet and VGGSound, which have no validation split: share of the "
        "training videos that becomes one.",
        lower_bound=0,
        upper_bound=50,
    )


@dataclasses.dataclass(frozen=True)
class DownloadConfig:
    """Which clips to fetch, from where and how politely."""

    manifest: str = _flag(
        "",
        "Manifest whose paths are video ids, as make_manifest.py writes it; "
        "classes.txt lies beside it.",
        required=True,
    )
    clips_dir: str = _flag(
        "",
        "Local folder for the clips, their manifest.csv and missing_clips.csv.",
        required=True,
    )
    source_url: str = _flag(
        "https://www.youtube.com/watch?v={id}",
        "Address of a video, with {id} in place of its id.",
    )
    max_height_px: int = _flag(
        480, "Largest height of a video that is taken.", lower_bound=64
    )
    cookies: str = _flag(
        "", "Cookies file in Netscape's format, of an account that may watch."
    )
    workers: int = _flag(
        4, "Clips that are fetched at a time.", lower_bound=1, upper_bound=64
    )
    rate_limit_s: float = _flag(
        1.0,
        "Seconds between two videos, on average over all workers, and between "
        "one worker's requests for a video's addresses; the pause before a "
        "further try doubles each time.",
        lower_bound=0.0,
    )
    retries: int = _flag(
        3, "Further tries after a failure that may pass.", lower_bound=0
    )
    timeout_s: float = _flag(
        30.0, "Seconds for which a server may be silent.", lower_bound=0.1
    )
    retry_missing: bool = _flag(
        False,
        "Try every clip once more that was missing for good: removed, "
        "private, blocked, age-restricted, without picture or sound.",
    )


@dataclasses.dataclass(frozen=True)
class LocalizeConfig:
    """Which run localizes in which part of the videos, and what is written.

    The recipe of the features comes from the run; only the files of its base
    networks have to be found.
    """

    run_dir: str = _flag("", "Directory that train.py wrote.", required=True)
    output_dir: str = _flag(
        "",
        "Directory that gets a folder for each video, results.csv and .json, "
        "failed.csv and, of several videos, index.html.",
        required=True,
    )
    outputs: str = _flag(
        "labels,page,video,figures",
        "What to write of each video, joined by commas; `labels` are the "
        "--formats.",
    )
    formats: str = _flag(
        "json,csv,vtt,srt,audacity,textgrid,coco",
        "Formats of `labels`, joined by commas: all scores as JSON; events as "
        "a CSV table, WebVTT or SubRip subtitles, Audacity's labels, a "
        "TextGrid for Praat and ELAN; boxes as COCO JSON.",
    )
    workers: int = _flag(
        1,
        "Processes. With several, each needs the memory of one; also a video "
        "that ends its process does not end the others.",
        lower_bound=1,
    )
    classes_shown: str = _flag(
        "",
        "Classes to draw, joined by `;`, or `all`; by default those "
        "predicted, or the best one.",
    )
    heat_scale: str = _flag(
        "robust",
        "Scale of heat maps and opacities: `paper` from a class's lowest "
        "score to its highest, `robust` against low outliers.",
        choices=("robust", "paper"),
    )
    start_s: float = _flag(
        0.0, "Where the section to localize in starts.", lower_bound=0.0
    )
    end_s: float = _flag(
        0.0,
        "Where it ends; 0 for the end of the video. A video is one bag, as a "
        "clip in training, and at most an hour of it is taken.",
        lower_bound=0.0,
    )
    checkpoint: str = _flag(
        "last",
        "Which weights to use, as for evaluate.py.",
        choices=("last", "best"),
    )
    weights_dir: str = _flag(
        "weights",
        "Local folder where the run's base weights are looked for, by their "
        "SHA-256, unless they are named.",
    )
    edge_forest: str = _flag("", "The structured edge forest of the run.")
    region_weights: str = _flag("", "Weights of the run's base visual network.")
    audio_weights: str = _flag("", "Weights of the run's base audio network.")
    backend: str = _backend_flag()


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What a run is exported as, and where to."""

    output: str = _flag(
        "",
        "Local file of a packed run, as a.zip; folder of the other formats.",
        required=True,
    )
    format: str = _flag(
        "packed",
        "One file for avmil, or the network as TensorFlow's SavedModel, ONNX "
        "(extra `onnx`) or a Keras file.",
        choices=("packed", "saved_model", "onnx", "keras"),
    )
    checkpoint: str = _flag(
        "last",
        "Which weights to export, as for evaluate.py.",
        choices=("last", "best"),
    )


def define(*configs: type) -> None:
    """Defines a flag for each field of the configurations."""
    for field in (f for config in configs for f in dataclasses.fields(config)):
        options = dict(field.metadata)
        help_text = options.pop("help")
        required = options.pop("required", False)
        if choices := options.pop("choices", None):
            flags.DEFINE_enum(field.name, field.default, choices, help_text)
        else:
            define_flag = {
                "str": flags.DEFINE_string,
                "int": flags.DEFINE_integer,
                "float": flags.DEFINE_float,
                "bool": flags.DEFINE_boolean,
            }[field.type]
            default = None if required else field.default
            define_flag(field.name, default, help_text, **options)
        if required:
            flags.mark_flag_as_required(field.name)
            flags.register_validator(field.name, bool, "Expected a value.")
        # Shown by --help, as if the entry script had defined it.
        flags.FLAGS.register_key_flag_for_module(
            sys.argv[0], flags.FLAGS[field.name]
        )


def configs_dir() -> pathlib.Path:
    """Folder of the flagfiles, of an installed avmil or of a checkout."""
    root = pathlib.Path(__file__).resolve().parent
    installed = root / "avmil" / "configs"
    return installed if installed.is_dir() else root / "configs"


class _RowFlag(flags.Flag):
    """Sets what the flagfile of a row of Table 1 lists, where it stands."""

    def parse(self, argument: str) -> None:
        """Takes the row's flags; those that come later override them."""
        super().parse(argument)
        (path,) = configs_dir().glob(f"{self.value}_*.flags")
        for given in flags.FLAGS.read_flags_from_files([f"--flagfile={path}"]):
            name, _, value = given.removeprefix("--").partition("=")
            flags.FLAGS[name].parse(value)
            flags.FLAGS[name].using_default_value = False


def define_row(*rows: str) -> None:
    """Defines --row, which stands for the flagfile of one of the rows."""
    flags.DEFINE_flag(
        _RowFlag(
            flags.EnumParser(rows),
            None,
            "row",
            None,
            f"<{'|'.join(rows)}>: Row of the paper's Table 1, whose flagfile "
            "in configs/ is taken; flags behind it override the file's.",
        )
    )
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS["row"])


def read(config: type[Config]) -> Config:
    """Builds a configuration from the parsed flags."""
    return config(
        **{
            field.name: flags.FLAGS[field.name].value
            for field in dataclasses.fields(config)
        }
    )


def to_flagfile(config: Any) -> str:
    """Lists a configuration in the form that --flagfile reads."""
    values = dataclasses.asdict(config)
    return "".join(f"--{name}={value}\n" for name, value in values.items())
