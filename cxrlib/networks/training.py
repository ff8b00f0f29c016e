"""Train a network into a run folder, and go on from the last epoch after a kill.

What an epoch leaves behind is written in an order that a kill at any moment survives: first the
checkpoint of epoch n, then the history with n rows, then older checkpoints go. So the number of
rows in `history.csv` always names a checkpoint that is there.
"""

import sys
import time

import numpy as np
import pandas as pd
from tqdm import tqdm

from cxrlib import columns
from cxrlib.files import reading, replacing, write_csv
from cxrlib.networks import ARCHITECTURES, models
from cxrlib.networks.backend import PRECISIONS, devices, keras, shared
from cxrlib.networks.batches import Batches
from cxrlib.targets import TARGETS

ops = keras.ops


class Diverged(Exception):
    """A training left no network that answers: its loss is not a number."""


@keras.saving.register_keras_serializable("cxrlib")
def harsh_accuracy(y_true, y_pred):
    """Returns per image whether all five targets are right at 0.5 (the paper's harsh accuracy)."""
    right = ops.equal(ops.cast(y_pred >= 0.5, "float32"), ops.cast(y_true, "float32"))
    return ops.cast(ops.all(right, axis=-1), "float32")


def fit(folder, recipe, pixels, radiographs, *, label="", lines=False, bench=None):
    """Trains a network, or goes on where it was cut; writes history.csv, then model.keras.

    Args:
        folder: The run folder. A history and checkpoint there are continued, epoch by epoch.
        recipe: `networks.Recipe`.
        pixels: uint8 (n, size, size, 3), row by row the radiographs.
        radiographs: DataFrame of n rows with split and targets.
        label: What the progress bar calls this run.
        lines: Report a line an epoch instead of drawing a bar.
        bench: As `start` takes it.

    Returns:
        The history, a DataFrame with one row an epoch.

    Raises:
        models.WeightsUnavailable: ImageNet weights could not be had; nothing was written.
        Diverged: No epoch has a validation loss.
    """
    history = _read_history(folder)
    if not (folder / "model.keras").exists():
        if not _done(history, recipe.schedule):
            progress = _Progress(label, recipe.schedule.epochs, lines)
            history = _fit(folder, recipe, pixels, radiographs, history, progress, bench)
        if history["val_loss"].isna().all():
            raise Diverged(f"training diverged: no validation loss in {len(history)} epochs")
        architecture, edge = recipe.architecture, pixels.shape[1]
        trained = models.load(_checkpoint(folder, best_epoch(history)), architecture, edge)
        with replacing(folder / "model.keras") as temporary:
            _in_float32(trained, architecture, edge).save(temporary)
    _remove_checkpoints(folder)
    return history


def _fit(folder, recipe, pixels, radiographs, history, progress, bench):
    """Trains epoch by epoch; returns the whole history."""
    schedule, used = recipe.schedule, devices(recipe.schedule.batch_size)
    keras.utils.set_random_seed(recipe.seed)
    with shared(used):
        if len(history):
            newest = _checkpoint(folder, len(history))
            with reading(newest):
                begun = models.load(newest, recipe.architecture, pixels.shape[1], compile=True)
                model = _with_measures(begun)
        else:
            model = start(recipe, pixels.shape[1], bench)
        recorder = _Recorder(folder, history, schedule)
        batches, others = (
            _batches(pixels, radiographs, "train", recipe, share=len(used) or 1) for _ in range(2)
        )
        model.fit(
            batches,
            validation_data=_batches(pixels, radiographs, "validation", recipe),
            epochs=schedule.epochs,
            initial_epoch=len(history),
            shuffle=False,  # Batches draws the order itself, so that it can be continued
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, _: batches.start(epoch)
                ),
                *recorder.followers,
                recorder,
                _Undivided(),
                _Norms(others, schedule),
                progress,
            ],
            verbose=0,
        )
    return recorder.history


def start(recipe, image_size, bench=None):
    """Returns a network ready for its first step.

    Args:
        recipe: `networks.Recipe`.
        image_size: Edge of the images in pixels.
        bench: A dict that the caller keeps over several trainings. A network of the same shape in
            it begins anew, weights and optimizer: tracing another one would take longer than many
            an epoch. Whoever hands a bench over has no use for the network that it holds.

    Returns:
        A compiled `keras.Model`.

    Raises:
        As `models.build`.
    """
    keras.config.set_dtype_policy(PRECISIONS[recipe.precision])
    try:
        built = models.build(recipe.architecture, image_size, recipe.weights)
    finally:
        keras.config.set_dtype_policy("float32")
    shape = (recipe.architecture, image_size, recipe.precision, keras.distribution.distribution())
    if bench and shape in bench:
        model = bench[shape]
        model.set_weights(built.get_weights())
        for variable in model.optimizer.variables:
            variable.assign(ops.zeros(variable.shape, variable.dtype))
    else:
        model = _compiled(built, recipe.architecture)
        if bench is not None:
            bench.clear()  # one is kept, so that memory does not grow with the arms
            bench[shape] = model
    model.optimizer.learning_rate = recipe.schedule.learning_rate
    return model


def _compiled(model, architecture):
    on_tensorflow = keras.backend.backend() == "tensorflow"
    model.compile(
        keras.optimizers.Adam(beta_1=0.9, beta_2=0.999, amsgrad=True),
        loss="binary_crossentropy",
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy"), harsh_accuracy],
        steps_per_execution=ARCHITECTURES[architecture].steps_per_call if on_tensorflow else 1,
        # On a processor XLA makes DenseNet-121 start a minute later and no step faster.
        jit_compile=False if on_tensorflow else "auto",
    )
    # Its variables made now, the first step is traced once instead of twice (DenseNet-121: 13 s).
    model.optimizer.build(model.trainable_variables)
    return _with_measures(model)


def _with_measures(model):
    """Builds loss and measures: on JAX Keras would take the epoch's first batch for that."""
    nothing = ops.zeros((1, len(TARGETS)))
    model.compute_loss(y=nothing, y_pred=nothing)
    model.compute_metrics(None, nothing, nothing)
    model.reset_metrics()
    return model


def best_epoch(history):
    """Returns the epoch with the lowest validation loss, the first one if several share it."""
    return int(history.loc[history["val_loss"].fillna(np.inf).idxmin(), "epoch"])


def predict(model, pixels, radiographs, splits, batch_size):
    """Predicts the probabilities of radiographs.

    Returns:
        DataFrame: file, group, patient, copy, split, y_* (0 or 1) and p_* (in [0, 1]) per target.
    """
    rows = radiographs.index[radiographs["split"].isin(splits)].to_numpy()
    batches = Batches(pixels, radiographs[list(TARGETS)], rows, batch_size)
    probabilities = pd.DataFrame(model.predict(batches, verbose=0), index=rows, columns=TARGETS)
    facts = radiographs.loc[rows, ["file", "group", "patient", "copy", "split"]]
    truth = radiographs.loc[rows, list(TARGETS)].add_prefix("y_")
    return pd.concat([facts, truth, probabilities.add_prefix("p_")], axis=1)


def features(model, pixels, radiographs, batch_size):
    """Returns what a network makes of radiographs before it answers: the final pooled features.

    Args:
        model: What `models.build` returns, trained or not.
        pixels: uint8 array (n, size, size, 3), row by row the radiographs.
        radiographs: n rows with the columns of `TARGETS`.
        batch_size: Radiographs a batch.

    Returns:
        float32 array (n, features).
    """
    pooled = keras.Model(model.input, model.layers[-1].input)
    rows = np.arange(len(radiographs))
    return pooled.predict(Batches(pixels, radiographs[list(TARGETS)], rows, batch_size), verbose=0)


def _batches(pixels, radiographs, split, recipe, share=1):
    """Returns the batches of a split: training images in a new order each epoch, and augmented."""
    rows = radiographs.index[radiographs["split"] == split].to_numpy()
    targets, size = radiographs[list(TARGETS)].to_numpy(), recipe.schedule.batch_size
    if split != "train":
        return Batches(pixels, targets, rows, size, share=share)
    options = {"seed": recipe.seed, "ranges": recipe.online}
    options["passes"] = recipe.schedule.passes_per_epoch
    return Batches(pixels, targets, rows, size, share=share, **options)


def _in_float32(trained, architecture, image_size):
    model = models.build(architecture, image_size)
    model.set_weights(trained.get_weights())
    return model


def _checkpoint(folder, epoch):
    return folder / f"checkpoint-{epoch:04d}.keras"


def _remove_checkpoints(folder):
    for checkpoint in folder.glob("checkpoint-*.keras"):
        checkpoint.unlink()


def _read_history(folder):
    """Reads the epochs whose network, and the best one's among them, can be gone on from."""
    path = folder / "history.csv"
    if not path.exists():
        return pd.DataFrame({"epoch": []})
    history = columns.read_history(path)
    if (folder / "model.keras").exists():
        return history
    kept = len(history)
    while kept and not all(
        _checkpoint(folder, epoch).exists() for epoch in (kept, best_epoch(history[:kept]))
    ):
        kept -= 1  # a damaged checkpoint was deleted, as its message said
    return history[:kept]


def _done(history, schedule):
    """Returns whether training had ended, by its epochs or by early stopping."""
    if len(history) == 0:
        return False
    return len(history) >= schedule.epochs or (
        len(history) - best_epoch(history) >= schedule.stop_after
    )


class _Recorder(keras.callbacks.Callback):
    """Writes checkpoint and history after every epoch; brings callbacks back to where they were.

    Early stopping and the learning rate follow from the validation losses alone, so after a cut
    the history is played to them again instead of storing their state.
    """

    def __init__(self, folder, history, schedule):
        super().__init__()
        self.folder, self.history, self.schedule = folder, history, schedule
        self.followers = [
            keras.callbacks.ReduceLROnPlateau(
                factor=schedule.reduce_factor,
                patience=schedule.reduce_after,
                min_delta=schedule.reduce_min_delta,
                cooldown=schedule.reduce_cooldown,
                min_lr=schedule.min_learning_rate,
            ),
            keras.callbacks.EarlyStopping(patience=schedule.stop_after),
        ]

    def on_train_begin(self, logs=None):
        self.model.optimizer.learning_rate = self.schedule.learning_rate
        for row in self.history.to_dict("records"):
            for follower in self.followers:
                follower.on_epoch_end(int(row["epoch"]) - 1, dict(row))

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()
        self.learning_rate = float(self.model.optimizer.learning_rate)

    def on_epoch_end(self, epoch, logs=None):
        number = epoch + 1
        row = {
            "epoch": number,
            **{name: float(value) for name, value in logs.items()},
            "learning_rate": self.learning_rate,
            "seconds": round(time.perf_counter() - self.started, 2),
        }
        with replacing(_checkpoint(self.folder, number)) as temporary:
            self.model.save(temporary)
        history = pd.concat([self.history, pd.DataFrame([row])], ignore_index=True)
        history = history.astype({"epoch": int})
        write_csv(history, self.folder / "history.csv")
        self.history = history
        kept = {_checkpoint(self.folder, n) for n in (number, best_epoch(history))}
        for checkpoint in self.folder.glob("checkpoint-*.keras"):
            if checkpoint not in kept:
                checkpoint.unlink()


class _Undivided(keras.callbacks.Callback):
    """Validates every radiograph: all devices do the same, as they seldom divide the last batch."""

    def on_test_begin(self, logs=None):
        self.distribution = keras.distribution.distribution()
        keras.distribution.set_distribution(None)

    def on_test_end(self, logs=None):
        keras.distribution.set_distribution(self.distribution)


class _Norms(keras.callbacks.Callback):
    """Takes batch normalisation's averages anew before each validation (Wu and Johnson 2021).

    In a short training the weights run ahead of the running averages, and a network that answers
    well on batches fails one image at a time.
    """

    BATCH = 64

    def __init__(self, batches, schedule):
        super().__init__()
        self.batches, self.count = batches, -(-schedule.norm_images // self.BATCH)
        self.batches.batch_size = self.BATCH

    def on_test_begin(self, logs=None):
        norms = [
            layer
            for layer in self.model.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        kept = [layer.momentum for layer in norms]
        for number in range(min(self.count, len(self.batches))):
            for layer in norms:
                layer.momentum = number / (number + 1)  # so that all batches count the same
            self.model(self.batches[number][0], training=True)
        for layer, momentum in zip(norms, kept):
            layer.momentum = momentum


class _Progress(keras.callbacks.Callback):
    """Returns which arm, which epoch and how long still: a bar, or a line an epoch."""

    def __init__(self, label, epochs, lines):
        super().__init__()
        self.label, self.epochs, self.lines = label, epochs, lines

    def on_train_begin(self, logs=None):
        self.started, self.first, self.bar = time.perf_counter(), None, None

    def on_epoch_begin(self, epoch, logs=None):
        self.before = epoch * self.params["steps"]
        if self.first is None:
            self.first, total = epoch, self.epochs * self.params["steps"]
            self.bar = tqdm(total=total, initial=self.before, unit="batch", disable=self.lines)
        self.bar.set_description(f"{self.label} epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch, logs=None):
        done = self.before + min(batch + 1, self.params["steps"])  # one call may be several batches
        self.bar.update(done - self.bar.n)

    def on_epoch_end(self, epoch, logs=None):
        if self.lines:
            pace = (time.perf_counter() - self.started) / (epoch + 1 - self.first)
            left = pace * (self.epochs - epoch - 1)
            print(
                f"{self.label}  epoch {epoch + 1}/{self.epochs}"
                f"  validation loss {logs['val_loss']:.3f}  at most {left / 60:.1f} min left",
                file=sys.stderr,
                flush=True,
            )

    def on_train_end(self, logs=None):
        self.bar.close()
