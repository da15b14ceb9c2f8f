"""Every flag of the entry scripts, as frozen configurations.

Each field of a configuration is a flag of the same name, type and default; its
line under "Attributes" is the flag's help. `avmil.common.command_line` makes
flags of them, and hands an entry script what the user gave.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, NamedTuple


class Bounds(NamedTuple):
    """The numbers that a flag takes, both included."""

    lower_bound: float
    upper_bound: float | None = None


PositiveInt = Annotated[int, Bounds(1)]
NonNegativeInt = Annotated[int, Bounds(0)]
NonNegativeFloat = Annotated[float, Bounds(0.0)]
Required = Annotated[str, "Expected a value."]
Backend = Literal["tensorflow", "jax"]
Checkpoint = Literal["last", "best"]


@dataclasses.dataclass(frozen=True)
class RecipeConfig:
    """What decides the numbers of the features; the defaults are the paper's.

    It is written beside the features, and features of two recipes never mix.

    Attributes:
        modalities: What to extract; a clip without it is listed in failed.csv.
        frame_rate_hz: Frames sampled a second.
        edges: Edges that EdgeBoxes groups; `gradient` needs no file but is not
            the paper's.
        edge_forest: OpenCV's structured edge forest (model.yml.gz).
        max_boxes: Proposals kept of a frame.
        region_network: Base visual network: `caffenet`, `alexnet`, or
            `keras:NAME`, a backbone of keras.applications (keras:ConvNeXtTiny)
            cut at its last layer of stride 16; keras:NAME/LAYER names one of
            stride 16 or 32.
        region_weights: Weights of the base visual network: .caffemodel or .npz,
            or of keras:NAME a file without the top, or `imagenet`; `random`
            leaves it untrained.
        roi_bins: Bins along each side of a region; 1 leaves a maximum for each
            channel.
        short_side_px: Frames are scaled to this short side,
        long_side_px: unless their long side would pass this one.
        audio_network: Base audio network; `keras_file` is the model that
            --audio_weights names.
        audio_weights: Weights of the base audio network: VGGish's checkpoint,
            YAMNet's .h5 or .tflite, or a .keras file that maps log-mel patches
            or waveforms to embeddings; `random` leaves VGGish or YAMNet
            untrained.
        embedding_activation: Activation of VGGish's embedding: `relu` as in
            2018, `none` as since 2020; without effect on YAMNet's.
        segment_hop_s: Seconds between segments.
        cvssp_scaling_rate_hz: Sampling rate that scales the spectrogram of the
            CVSSP systems: 1 as in revision 78b1646 of their code, which passes
            none to SciPy, 16000 as in 4634b83.
        missing_audio: A clip without a sound track goes to failed.csv, or is
            silent.
        network_seed: Seed of untrained base networks.
    """

    modalities: Literal["audio_visual", "audio", "visual"] = "audio_visual"
    frame_rate_hz: Annotated[float, Bounds(1e-3)] = 1.0
    edges: Literal["structured_forest", "gradient"] = "structured_forest"
    edge_forest: str = ""
    max_boxes: PositiveInt = 10
    region_network: str = "caffenet"
    region_weights: str = ""
    roi_bins: Annotated[int, Bounds(1, 7)] = 6
    short_side_px: Annotated[int, Bounds(64)] = 600
    long_side_px: Annotated[int, Bounds(64)] = 1000
    audio_network: Literal["vggish", "yamnet", "keras_file"] = "vggish"
    audio_weights: str = ""
    embedding_activation: Literal["relu", "none"] = "relu"
    segment_hop_s: Annotated[float, Bounds(0.01)] = 0.48
    cvssp_scaling_rate_hz: Annotated[float, Bounds(1.0)] = 1.0
    missing_audio: Literal["fail", "silence"] = "fail"
    network_seed: int = 0


@dataclasses.dataclass(frozen=True)
class ExtractionConfig:
    """Which clips to extract, where to and how many at a time.

    Attributes:
        manifest: CSV file: clip_id,path,labels,split and optionally
            start_s,end_s.
        classes: Class list, one a line; by default classes.txt beside the
            manifest.
        features_dir: Directory for the features: local, s3:// or gs://.
        allow_outside_paths: Permit media files outside the manifest's folder.
        workers: Processes; 0 for one a processor core.
        scheduler: Dask scheduler whose workers extract, instead of processes of
            this machine: tcp://host:port or a scheduler file.
        shard_size: Clips of a shard.
        retry_failed: Try the clips of failed.csv once more.
        boxes_from: Complete features directory of the same clips to take boxes
            from, instead of searching them: its frame rate, edges and number of
            boxes then count. Audio features are taken too where their flags, or
            no --audio_weights, ask for the same ones.
        backend: What Keras computes with; `jax` needs no TensorFlow.
    """

    manifest: Required = ""
    classes: str = ""
    features_dir: Required = ""
    allow_outside_paths: bool = False
    workers: NonNegativeInt = 0
    scheduler: str = ""
    shard_size: PositiveInt = 64
    retry_failed: bool = False
    boxes_from: str = ""
    backend: Backend = "tensorflow"


@dataclasses.dataclass(frozen=True)
class ImportConfig:
    """Published arrays that become a features directory.

    Attributes:
        manifest: CSV file as of extract_features.py; its media files need not
            exist.
        classes: Class list, one a line; by default classes.txt beside the
            manifest.
        features_dir: Directory for the features: local, s3:// or gs://.
        audio: Audio features: a folder of .npy [T, D], or FILE.h5 or
            FILE.h5:KEY with [clips, T, D].
        visual: Visual features, likewise: [S, D] of frames, [S, K, D] or [S,
            rows, columns, D] of their regions.
        duration_s: Length of the clips whose end_s the manifest does not tell.
        shard_size: Clips of a shard.
    """

    manifest: Required = ""
    classes: str = ""
    features_dir: Required = ""
    audio: str = ""
    visual: str = ""
    duration_s: Annotated[float, Bounds(0.01)] = 10.0
    shard_size: PositiveInt = 64


@dataclasses.dataclass(frozen=True)
class FeatureExportConfig:
    """Features that are written as plain arrays.

    Attributes:
        features_dir: Directory that extract_features.py wrote.
        output_dir: Folder for the arrays.
        format: A folder for each field with a .npy for each clip, or an HDF5
            file for each field.
        fields: What to export, joined by commas.
        manifest: Manifest of the clips to export, in its order; all without it.
        classes: Class list, one a line; by default classes.txt beside the
            manifest.
    """

    features_dir: Required = ""
    output_dir: Required = ""
    format: Literal["npy", "h5"] = "npy"
    fields: str = "segments,regions"
    manifest: str = ""
    classes: str = ""


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run; the defaults are the paper's row (a).

    Attributes:
        system: System of the paper's Table 1, or av_late_fusion, which is
            better.
        features_dir: Directory that extract_features.py wrote.
        run_dir: Directory of the run; an existing one goes on.
        steps: Training steps.
        batch_size: Clips of a batch.
        learning_rate: Adam's learning rate.
        adam_epsilon: Adam's epsilon.
        dropout: Dropout after fc6 and fc7.
        fc_units: Neurons of fc6 and of fc7.
        audio_units: Neurons of the audio layer.
        one_stream_pooling: Pooling of the proposals' scores in av_one_stream:
            the paper's log-sum-exp, or log-mean-exp, which learns from the
            start.
        fc_weights: CaffeNet's .caffemodel (or .npz) for fc6 and fc7; without it
            they start at random.
        precision: Arithmetic of the layers; scores are always float32.
        xla: Compile the training step with XLA; JAX always does.
        seed: Seed of weights, dropout and batches.
        log_every: Steps between TensorBoard points.
        validate_every: Steps between validations; 0 for 500, or a tenth of
            --steps where that is less.
        checkpoint_every: Steps between checkpoints.
        keep_every: Steps between checkpoints that stay, for evaluate.py --fuse;
            0 for none.
        keep_last: How many of these stay, the last ones.
        save_interval_s: Seconds at least between two checkpoints to go on from,
            and between TensorBoard's heat maps, which on an accelerator take
            longer than hundreds of steps.
        best_by: What the best checkpoint is best in on validation: mean average
            precision, or micro F1 with thresholds tuned there, which is noisy
            on few clips.
        early_stopping: Validations without a new best after which training
            ends; 0 for never.
        backend: What Keras computes with; `jax` needs no TensorFlow.
        devices: Devices among which every batch is divided: a number, or `all`,
            of several hosts too; more than one with --backend=jax only.
        cache: Where the features are held: on the accelerator, in host memory,
            or nowhere, read from their files ahead of use. `auto` takes the
            first one that is there and large enough; the accelerator with JAX
            only, which tells how much of its memory is free.
    """

    system: Literal[
        "av_two_stream",
        "audio_two_stream",
        "visual_two_stream",
        "visual_wsddn",
        "av_one_stream",
        "av_late_fusion",
        "cvssp_gated_crnn",
        "cvssp_gated_crnn_attention",
    ] = "av_two_stream"
    features_dir: Required = ""
    run_dir: Required = ""
    steps: PositiveInt = 25_000
    batch_size: PositiveInt = 24
    learning_rate: NonNegativeFloat = 1e-5
    adam_epsilon: NonNegativeFloat = 1e-8
    dropout: Annotated[float, Bounds(0.0, 0.99)] = 0.5
    fc_units: PositiveInt = 4096
    audio_units: PositiveInt = 128
    one_stream_pooling: Literal["sum", "mean"] = "sum"
    fc_weights: str = ""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    xla: bool = True
    seed: int = 0
    log_every: PositiveInt = 50
    validate_every: NonNegativeInt = 0
    checkpoint_every: PositiveInt = 500
    keep_every: NonNegativeInt = 0
    keep_last: PositiveInt = 10
    save_interval_s: NonNegativeFloat = 60.0
    best_by: Literal["map", "f1"] = "map"
    early_stopping: NonNegativeInt = 0
    backend: Backend = "tensorflow"
    devices: str = "1"
    cache: Literal["auto", "device", "host", "none"] = "auto"

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
    """Which runs to evaluate or to fuse and how.

    Attributes:
        run_dir: Directory that train.py wrote.
        runs: Several run directories for tables of all, joined by commas;
            patterns as runs/* are allowed. Runs that differ in their seed only
            are one row.
        fuse: Runs whose probabilities to average into --output_dir, joined by
            commas; RUN@400 is a run's kept checkpoint of step 400, RUN@all are
            all its kept ones.
        output_dir: Where the tables of several runs go, which without it are
            printed only, or the fusion.
        features_dir: Features to score; by default those of the training.
        checkpoint: Which weights to score: the paper's last ones, or the best
            on validation.
        use_saved_scores: Tabulate the run's scores-*.npz without scoring again.
        fallback_argmax: Force the best class where none passes (CVSSP's rule).
        truth: Truth files that name validation and test clips, joined by
            commas: truth.json or DCASE's strong labels. Adds Tables 3 to 6,
            where and when the systems localize.
        dcase_output: File for a single run's predictions in DCASE's format for
            audio tagging.
        dcase_events_output: File for a single run's detected events in DCASE's
            format for sound event detection; needs --truth, to tune thresholds
            on validation.
        backend: What Keras computes with; `jax` needs no TensorFlow.
    """

    run_dir: str = ""
    runs: str = ""
    fuse: str = ""
    output_dir: str = ""
    features_dir: str = ""
    checkpoint: Checkpoint = "last"
    use_saved_scores: bool = False
    fallback_argmax: bool = False
    truth: str = ""
    dcase_output: str = ""
    dcase_events_output: str = ""
    backend: Backend = "tensorflow"


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """The demonstration on drawn clips.

    Attributes:
        demo_dir: Directory for clips, features and the run.
    """

    demo_dir: str = "demo_run"


@dataclasses.dataclass(frozen=True)
class FetchConfig:
    """Where published weights are put, and where they come from.

    Attributes:
        weights_dir: Local directory for the weights.
        from_file: Install this local file, checked like a download, instead of
            fetching; takes one name.
        list: List what can be fetched, and fetch nothing.
    """

    weights_dir: str = "weights"
    from_file: str = ""
    list: bool = False


@dataclasses.dataclass(frozen=True)
class ManifestConfig:
    """Which published lists become a manifest.

    Attributes:
        dataset: Data set.
        lists_dir: Folder with the data set's lists.
        output: Manifest to write, manifest.csv; classes.txt goes beside it, and
            truth.json of what is heard and seen (llp, ave, vggsounder).
        overwrite: Replace an existing manifest.
        wanted_classes: AudioSet: names or ids of the wanted classes, joined by
            `;`; all without it.
        val_percent: AudioSet and VGGSound, which have no validation split:
            share of the training videos that becomes one.
    """

    dataset: Literal["dcase2017", "audioset", "llp", "ave", "vggsounder"] = (
        "dcase2017"
    )
    lists_dir: Required = ""
    output: Required = ""
    overwrite: bool = False
    wanted_classes: str = ""
    val_percent: Annotated[int, Bounds(0, 50)] = 0


@dataclasses.dataclass(frozen=True)
class DownloadConfig:
    """Which clips to fetch, from where and how politely.

    Attributes:
        manifest: Manifest whose paths are video ids, as make_manifest.py writes
            it; classes.txt lies beside it.
        clips_dir: Local folder for the clips, their manifest.csv and
            missing_clips.csv.
        source_url: Address of a video, with {id} in place of its id.
        max_height_px: Largest height of a video that is taken.
        cookies: Cookies file in Netscape's format, of an account that may
            watch.
        workers: Clips that are fetched at a time.
        rate_limit_s: Seconds between two videos, on average over all workers,
            and between one worker's requests for a video's addresses; the pause
            before a further try doubles each time.
        retries: Further tries after a failure that may pass.
        timeout_s: Seconds for which a server may be silent.
        retry_missing: Try every clip once more that was missing for good:
            removed, private, blocked, age-restricted, without picture or sound.
    """

    manifest: Required = ""
    clips_dir: Required = ""
    source_url: str = "https://www.youtube.com/watch?v={id}"
    max_height_px: Annotated[int, Bounds(64)] = 480
    cookies: str = ""
    workers: Annotated[int, Bounds(1, 64)] = 4
    rate_limit_s: NonNegativeFloat = 1.0
    retries: NonNegativeInt = 3
    timeout_s: Annotated[float, Bounds(0.1)] = 30.0
    retry_missing: bool = False


@dataclasses.dataclass(frozen=True)
class LocalizeConfig:
    """Which run localizes in which part of the videos, and what is written.

    The recipe of the features comes from the run; only the files of its base
    networks have to be found.

    Attributes:
        run_dir: Directory that train.py wrote.
        output_dir: Directory that gets a folder for each video, results.csv and
            .json, failed.csv and, of several videos, index.html.
        outputs: What to write of each video, joined by commas; `labels` are the
            --formats.
        formats: Formats of `labels`, joined by commas: all scores as JSON;
            events as a CSV table, WebVTT or SubRip subtitles, Audacity's
            labels, a TextGrid for Praat and ELAN; boxes as COCO JSON.
        workers: Processes. With several, each needs the memory of one; also a
            video that ends its process does not end the others.
        classes_shown: Classes to draw, joined by `;`, or `all`; by default
            those predicted, or the best one.
        heat_scale: Scale of heat maps and opacities: `paper` from a class's
            lowest score to its highest, `robust` against low outliers.
        start_s: Where the section to localize in starts.
        end_s: Where it ends; 0 for the end of the video. A video is one bag, as
            a clip in training, and at most an hour of it is taken.
        checkpoint: Which weights to use, as for evaluate.py.
        weights_dir: Local folder where the run's base weights are looked for,
            by their SHA-256, unless they are named.
        edge_forest: The structured edge forest of the run.
        region_weights: Weights of the run's base visual network.
        audio_weights: Weights of the run's base audio network.
        backend: What Keras computes with; `jax` needs no TensorFlow.
    """

    run_dir: Required = ""
    output_dir: Required = ""
    outputs: str = "labels,page,video,figures"
    formats: str = "json,csv,vtt,srt,audacity,textgrid,coco"
    workers: PositiveInt = 1
    classes_shown: str = ""
    heat_scale: Literal["robust", "paper"] = "robust"
    start_s: NonNegativeFloat = 0.0
    end_s: NonNegativeFloat = 0.0
    checkpoint: Checkpoint = "last"
    weights_dir: str = "weights"
    edge_forest: str = ""
    region_weights: str = ""
    audio_weights: str = ""
    backend: Backend = "tensorflow"


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What a run is exported as, and where to.

    Attributes:
        output: Local file of a packed run, as a.zip; folder of the other
            formats.
        format: One file for avmil, or the network as TensorFlow's SavedModel,
            ONNX (extra `onnx`) or a Keras file.
        checkpoint: Which weights to export, as for evaluate.py.
    """

    output: Required = ""
    format: Literal["packed", "saved_model", "onnx", "keras"] = "packed"
    checkpoint: Checkpoint = "last"


def to_flagfile(config: Any) -> str:
    """Lists a configuration in the form that --flagfile reads."""
    values = dataclasses.asdict(config)
    return "".join(f"--{name}={value}\n" for name, value in values.items())
