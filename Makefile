# Two commands do all the set-up:  make demo  (a photograph speaks)  and  make test  (everything that is checked).
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
FACTS  := settings.ini setup.py constraints.txt
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --prefer-binary -c constraints.txt

FLAGS  ?=

.PHONY: demo avatar-demo test test-fast fuzz bench docs app lab tutorials space clean

demo: $(VENV)/.ready-run      ## makes out/demo.mp4 from the bundled photograph and a sentence
	@$(BIN)/lipsync demo -o out/demo.mp4

avatar-demo: $(VENV)/.ready-run   ## the bundled photograph as a head of Gaussians that turns as it speaks
	@$(BIN)/lipsync talk lipsync_kit/data/astronaut.jpg --text "A head of my own, made in seconds, on a CPU." --model gaussian --detail 384 -o out/avatar.mp4

test: $(VENV)/.ready-dev      ## notebooks as tests, then everything in tests/
	@$(BIN)/python -m pytest -q -rs -n2 --dist worksteal tests

test-fast: $(VENV)/.ready-dev ## every notebook and the quick tests, under two minutes
	@$(BIN)/python -m pytest -q -rs -n2 --dist worksteal -m 'not slow' tests

fuzz: $(VENV)/.ready-dev      ## damaged files, thousands of them
	@LIPSYNC_FUZZ=5000 $(BIN)/python -m pytest -q -n2 tests/test_fuzz.py

bench: $(VENV)/.ready-dev     ## speed, memory and accuracy, as ratios within one run
	@$(BIN)/python bench/run.py

docs: $(VENV)/.ready-dev      ## README.md and the site in _docs/
	@$(BIN)/python tools/docs.py

app: $(VENV)/.ready-run       ## the Gradio app on http://127.0.0.1:7860
	@$(BIN)/python demos/app.py

lab: $(VENV)/.ready-lab       ## JupyterLab on the tutorials; make lab FLAGS="--no-browser --port=8890" passes flags on
	@$(BIN)/jupyter lab --notebook-dir=. $(FLAGS) nbs/tutorials/01_quickstart.ipynb

tutorials: $(VENV)/.ready-lab ## runs the tutorials as in Colab, from a wheel in an environment of its own: out/tutorials/
	@rm -rf out/fresh && $(BIN)/python tools/tutorials.py --fresh $(FLAGS)

space: $(VENV)/.ready-run     ## demos/space/, the folder of a Hugging Face Space
	@$(BIN)/python tools/space.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "lipsync_kit needs Python 3.10 or later with venv (Debian: apt-get install python3-venv), or: make PYTHON=python3.12 demo"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-run: $(FACTS) | $(BIN)/python
	@echo "installing lipsync_kit into $(VENV) (once, about two minutes)"
	@$(PIP) -e '.[whisper]' && touch $@

$(VENV)/.ready-dev: $(VENV)/.ready-run
	@echo "installing what the tests need into $(VENV) (once)"
	@$(PIP) -e '.[whisper,heif,diffusion,metrics,train,dev]' && touch $@

$(VENV)/.ready-lab: $(VENV)/.ready-run
	@echo "installing JupyterLab into $(VENV) (once)"
	@$(PIP) -e '.[whisper,diffusion,notebook]' nbclient build && touch $@

clean:
	rm -rf $(VENV) out _docs _site_md _proc
