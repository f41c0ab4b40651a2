#!/bin/sh
# A Home Assistant of its own, for the tests against the real one: Python 3.13 and about 750 MB under DIR.
# Usage: home_assistant.sh DIR; then export UNDERSTUDY_HOME_ASSISTANT=DIR/bin/hass
set -eu
dir=$1
[ -x "$dir/bin/hass" ] && "$dir/bin/python" -c "import hass_frontend, sqlalchemy" && exit 0
python=$(ls "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13.*/bin/python 2>/dev/null | head -n 1)
[ -n "$python" ] || python=$(command -v python3.13)
"$python" -m venv "$dir"
"$dir/bin/python" -m pip install -qqq uv
"$dir/bin/uv" pip install --quiet --python "$dir/bin/python" homeassistant==2025.1.4 \
    Pillow==11.0.0 PyTurboJPEG==1.7.5 SQLAlchemy==2.0.36 av==13.1.0 cronsim==2.6 fnv-hash-fast==1.0.2 \
    hass-nabucasa==0.87.0 hassil==2.1.0 home-assistant-frontend==20250109.2 home-assistant-intents==2025.1.1 \
    mutagen==1.47.0 numpy==2.2.0 psutil-home-assistant==0.0.1 pymicro-vad==1.0.1 pyspeex-noise==1.0.2 \
    securetar==2024.11.0
