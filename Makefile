# Two commands do all the set-up: `make demo` and `make test`.
# They make .venv, with another interpreter by `make PYTHON=python3.12 demo`; an
# active environment in which avmil is installed is used as it is.
PYTHON ?= python3
VENV := .venv
ifneq ($(and $(filter file,$(origin PYTHON)),$(VIRTUAL_ENV),$(wildcard $(VIRTUAL_ENV)/bin/avmil-train)),)
BIN := $(VIRTUAL_ENV)/bin
else
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
endif
# All processor cores; a file's tests share their fixtures.
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile

.PHONY: demo tables bench test test-unit fuzz soak lint format install clean

demo: $(INSTALLED)
	$(BIN)/python demo.py

# All rows of the paper's tables: make tables FEATURES=features RUNS=runs \
#     FC_WEIGHTS=weights/bvlc_reference_caffenet.caffemodel
# FC_WEIGHTS starts fc6 and fc7 of the rows with a visual module; row e-mean is
# (e) with log-mean-exp, trained if ROWS names it.
# Several seeds: SEEDS="0 1 2", or of row (d) alone SEEDS_d=0. Other flags of
# train.py: TRAIN_FLAGS for all rows, TRAIN_FLAGS_g behind it for row (g); of
# evaluate.py: EVALUATE_FLAGS. Row (f) is made of (g).
ROWS ?= a b c d e g h
VISUAL_ROWS := a c d e e-mean h
SEEDS ?= 0
seeds = $(or $(SEEDS_$(1)),$(SEEDS))
fc_weights = $(and $(filter $(VISUAL_ROWS),$(1)),$(FC_WEIGHTS:%=--fc_weights=%))
comma := ,
empty :=
define train
$(BIN)/python train.py --flagfile=$(wildcard configs/$(1)_*.flags) \
    --features_dir=$(FEATURES) --run_dir=$(RUNS)/$(1)-$(2) --seed=$(2) \
    $(fc_weights) $(TRAIN_FLAGS) $(TRAIN_FLAGS_$(1))

endef
define fuse
$(BIN)/python evaluate.py --flagfile=configs/f_cvssp_fusion.flags \
    --fuse=$(RUNS)/g-$(1)@all --output_dir=$(RUNS)/f-$(1)

endef
fused = $(and $(filter g,$(ROWS)),$(call seeds,g))
runs = $(foreach row,$(ROWS),$(foreach seed,$(call seeds,$(row)),$(RUNS)/$(row)-$(seed))) \
    $(foreach seed,$(fused),$(RUNS)/f-$(seed))

tables: $(INSTALLED)
	@test -z "$(filter-out a b c d e e-mean g h,$(ROWS))" || { echo "Expected \
	ROWS of a b c d e e-mean g h, separated by spaces ((f) follows from g), received $(ROWS)."; \
	exit 2; }
	@test -n "$(FEATURES)" -a -n "$(RUNS)" || { echo "Expected a features \
	directory and one for the runs: make tables FEATURES=... RUNS=..."; exit 2; }
	$(foreach row,$(ROWS),$(foreach seed,$(call seeds,$(row)),$(call train,$(row),$(seed))))
	$(foreach seed,$(fused),$(call fuse,$(seed)))
	$(BIN)/python evaluate.py --output_dir=$(RUNS)/tables \
	    --runs=$(subst $(empty) $(empty),$(comma),$(strip $(runs))) \
	    $(EVALUATE_FLAGS)

test: $(INSTALLED)
	$(PYTEST)

test-unit: $(INSTALLED)
	$(PYTEST) --ignore=tests/end_to_end -m "not slow"

# 2,000 damaged files, in guarded processes; `make test` reads some of them.
fuzz: $(INSTALLED)
	$(BIN)/python -m tests.fuzz.fuzz --inputs=2000

# Jobs killed 30 times, on disk and on an object store, and full disks (as root).
soak: $(INSTALLED)
	$(BIN)/python -m tests.soak.soak

# Beside PyTorch too where it is installed: .venv/bin/pip install torch.
bench: $(INSTALLED)
	$(BIN)/python -m benchmarks --output=benchmarks/results.md

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(INSTALLED)

# The stamp is written last, so that an interrupted installation starts anew.
$(INSTALLED): setup.py constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	(3, 10) <= v <= (3, 12) or sys.exit("Expected Python 3.10 to 3.12, \
	received %d.%d; name another one: make PYTHON=python3.11 ..." % v)'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info demo_run
