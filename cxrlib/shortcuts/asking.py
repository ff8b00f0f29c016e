"""Asking trained networks about radiographs that their study does not hold."""

from cxrlib import study


def asker(profile, experiment, arm):
    """Returns a function that asks a trained arm; it is trained if it is not yet.

    Args:
        profile: The study's profile.
        experiment: An `Experiment`.
        arm: One of its arms.

    Returns:
        Function of radiographs, a cohort with split and copy, that returns the predictions of the
        test radiographs as `training.predict` does.

    Raises:
        InputError: The arm could not be run.
    """
    from cxrlib.networks import training  # seconds: Keras comes with it

    model = study.train(profile, experiment, arm).network
    batch = profile.schedule(experiment, arm.architecture).batch_size

    def ask(radiographs):
        pixels = study.pixels(profile, experiment, radiographs)
        return training.predict(model, pixels, radiographs, ("test",), batch)

    return ask
