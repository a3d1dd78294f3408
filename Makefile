# Two commands do all set-up on a fresh Debian machine with Python 3.11:
#   make demo    the main job: a recording goes in, detections come out
#   make test    every test, in the interpreters that run the models
# and one for the loop while working:
#   make check   lint, types and the fast tests, under two minutes

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
OLD    := .venv-tflite-runtime
# For the microphone tests a real PortAudio over PulseAudio; for MQTT a broker; for the page a
# browser; for firmware two compilers of this machine, those of the emulated chips, and the
# emulators.
APT    := libportaudio2 libasound2-plugins pulseaudio pulseaudio-utils \
          mosquitto mosquitto-clients chromium \
          gcc python3-dev clang libclang-rt-14-dev cmake \
          gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm \
          gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf qemu-system-misc \
          gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static

# What a device does, tested where nothing else is installed.
ON_THE_DEVICE := tests/test_step.py tests/test_runtimes.py tests/test_imports.py tests/test_stream.py \
                 tests/test_detect.py tests/test_quant.py tests/test_batch.py tests/test_native.py \
                 tests/frontend

# What the compiled part of edgernn, backend c, is made of: installing compiles it.
NATIVE := setup.py $(wildcard edgernn/native/*.[ch] firmware_export/c/*.[ch])

# Debian splits venv off its Python; say so rather than fail with a traceback.
define make_venv
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1) || { rm -rf $(1); \
	  echo "$(PYTHON) with venv was needed: apt install python3 python3-venv, or make PYTHON=..." >&2; \
	  exit 1; }
endef

.PHONY: demo test check lint clean apt pi compatibility compatibility-quick

demo: $(VENV)/.device
	$(BIN)/edgernn stream --input edgernn/models/demo.wav
	@echo >&2
	@echo "Now with your own voice: $(BIN)/edgernn stream --meter" >&2
	@echo "(say \"computer\" or \"alexa\"; Ctrl-C ends; needs: apt install libportaudio2)" >&2

# The second run has no TensorFlow and no LiteRT: the models it opens are made by the first.
test: export EDGERNN_TEST_MODELS := $(CURDIR)/.cache/test-models
test: apt $(VENV)/.all $(OLD)/.done
	rm -rf $(EDGERNN_TEST_MODELS)
	$(BIN)/python -m pytest
	$(OLD)/bin/python -m pytest $(ON_THE_DEVICE)

check: lint $(VENV)/.all
	$(BIN)/python -m pytest -m "not slow" -x -n 2

# Every Python, numpy and interpreter in a room of its own, into docs/compatibility.md.
compatibility: $(VENV)/.all
	$(BIN)/python tools/compatibility.py

# The same with fewer tests, into .cache/compatibility.md: what CI does in some minutes.
compatibility-quick: apt $(VENV)/.all
	$(BIN)/python tools/compatibility.py --quick

lint: $(VENV)/.all
	$(BIN)/ruff check edgernn firmware_export tests tools setup.py
	$(BIN)/mypy

# The device side alone: no TensorFlow.
$(VENV)/.device: pyproject.toml $(NATIVE)
	$(call make_venv,$(VENV))
	$(BIN)/pip install --quiet --editable '.[device,audio]'
	touch $@

$(VENV)/.all: $(VENV)/.device
	$(BIN)/pip install --quiet --editable '.[device,audio,train,synth,dask,esphome,docs,dev]'
	touch $@

# tflite-runtime was built against numpy 1 for Python up to 3.11: a room of its own,
# which is also the test that the device side needs no TensorFlow.
$(OLD)/.done: pyproject.toml $(NATIVE)
	$(call make_venv,$(OLD))
	$(OLD)/bin/pip install --quiet 'tflite-runtime==2.14.0' 'numpy<2' 'pytest>=8,<10' 'hypothesis>=6.100,<7' --editable .
	touch $@

# Tests of what is missing skip, and say which package they need.
apt:
	@missing=""; for package in $(APT); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null; \
	else echo "Some tests will skip; to run them: sudo apt install$$missing" >&2; fi

# A Debian of every Raspberry Pi, emulated: the same bytes as here? (docs/pi.md; 5 minutes)
pi: $(VENV)/.all
	$(BIN)/python tools/pi.py
	$(BIN)/python tools/pi.py --arch armhf

clean:
	rm -rf $(VENV) $(OLD) build dist *.egg-info
