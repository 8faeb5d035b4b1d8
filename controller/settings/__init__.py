"""Settings: the command line over a remote config over config.yaml over the defaults; secrets from the environment."""

from controller.settings.environment import Secrets, environment_with_env_file
from controller.settings.files import CONFIG_FILE
from controller.settings.loading import load_clouds, load_settings
from controller.settings.model import Settings
from controller.settings.remote import fetch_config

__all__ = [
    "CONFIG_FILE",
    "Secrets",
    "Settings",
    "environment_with_env_file",
    "fetch_config",
    "load_clouds",
    "load_settings",
]
