# make run     a first look at STORE on ml-100k, committed results of other models beside it;
#              FULL=1 is the whole run, half an hour
# make test    the test suite
# make test-pythons  the test suite on Python 3.12, 3.13 and 3.14, where they are found
# make results run what results/ lacks on ml-100k, and remake its tables and those of docs (hours)
# make beauty  the same on Amazon Beauty; DATA=dataset names the folder that holds Beauty/
# make steam   some of them on Steam-100K, with Beauty's settings; DATA as above
# make gpu     the whole default LLM on Beauty, pre-trained against untrained (half an hour of one GPU)
# make trials  the settings listed in properties/trials/ that results/trials/ lacks (days); DATA as above
# make bench   speed and memory: results/bench.json and the table in docs; ONLY=decode runs one part
# make check   lint and format

# The first of some interpreters that starts; names that pyenv puts on the path may not.
first = for python in $(1); do "$$python" -c "" 2>/dev/null && echo "$$python" && break; done
PYTHON ?= $(shell $(call first,python3.11 python3.12 python3.13 python3.14 python3))
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

DATA ?= dataset

# Variants of STORE without one of its parts, or with one more.
PARTS := without_alignment codes_alone without_item_head without_dense_tokenizer \
	without_reconstruction without_contrastive without_collaborative_pairs without_constraint \
	collaborative_start
# What is run with one seed on ml-100k, beside those with three.
ONCE := SASRec:tuned GRU4Rec:tuned BERT4Rec:tuned TIGER:small TIGER:small_random $(addprefix STORE:,$(PARTS))
# Models on Beauty.
BEAUTY := STORE:text STORE:paper STORE:text_sampled STORE:short_histories STORE:short_histories_without_item_dropout \
	STORE:short_histories_random_start SASRecAll:collaborative_start \
	SASRecAll:without_training_filter SASRecAll TIGER:short_histories \
	Neighbours Neighbours:text Neighbours:together SASRecAll:with_scores \
	TextTower TextTower:words TextTower:with_company
# Models on Beauty without some of its items, each seed another draw of them.
COLD := STORE:text_cold TextTower:cold SASRecAll:cold Neighbours:cold
# What Beauty's settings do on other data.
STEAM := STORE STORE:paper TextTower:with_company STORE:short_histories SASRecAll:with_scores \
	SASRecAll:collaborative_start SASRecAll:without_training_filter \
	Neighbours Neighbours:text Neighbours:together
FILTERED := --data_path=$(DATA) --filter_history=True --max_hours=2.5
ON_BEAUTY := --dataset=Beauty $(FILTERED)
comma := ,
space := $() $()

.PHONY: run test test-pythons results beauty steam gpu trials bench check

run: $(READY)
	$(BIN)/python run_recbole_store.py --model=STORE --dataset=ml-100k \
		$(if $(FULL),,--profile=quick) --beside=results/ml-100k

test: $(READY)
	$(BIN)/python -m pytest

test-pythons:
	@failed=; for version in 3.12 3.13 3.14; do \
		python=$$($(call first,python$$version $$HOME/.pyenv/versions/$$version.*/bin/python)); \
		if [ -z "$$python" ]; then echo "Python $$version: skipped, there is none."; continue; fi; \
		echo "Python $$version: $$python"; \
		$(MAKE) test PYTHON="$$python" VENV="$(VENV)-$$version" || failed="$$failed $$version"; \
	done; [ -z "$$failed" ] || { echo "Failed on Python$$failed."; exit 1; }

results: $(READY)
	$(BIN)/python run_recbole_store.py --model=STORE,SASRecAll,BPR:tuned,Pop --dataset=ml-100k \
		--seeds=3 --results=results
	$(BIN)/python run_recbole_store.py --model=$(subst $(space),$(comma),$(ONCE)) \
		--dataset=ml-100k --results=results
	$(BIN)/recbole-store results results --readme docs/results.md

beauty: $(READY)
	$(BIN)/python run_recbole_store.py --model=$(subst $(space),$(comma),$(BEAUTY)) \
		$(ON_BEAUTY) --results=results
	$(BIN)/python run_recbole_store.py --model=$(subst $(space),$(comma),$(COLD)) \
		$(ON_BEAUTY) --seeds=5 --results=results
	$(BIN)/recbole-store results results --readme docs/results.md

steam: $(READY)
	$(BIN)/python run_recbole_store.py --model=$(subst $(space),$(comma),$(STEAM)) \
		--dataset=Steam-100K $(FILTERED) --results=results
	$(BIN)/recbole-store results results --readme docs/results.md

gpu: $(READY)
	$(BIN)/python run_recbole_store.py --profile=full --dataset=Beauty --data_path=$(DATA) \
		--model=$(subst $(space),$(comma),$(addprefix STORE:,paper paper_reinitialised text text_reinitialised)) \
		--filter_history=True --max_hours=0.1 --results=results/gpu

trials: $(READY)
	for model in STORE SASRecAll BPR:tuned TIGER:small SASRec:tuned GRU4Rec:tuned BERT4Rec:tuned; do \
		$(BIN)/recbole-store tune --model=$$model --validation_gap=null || exit 1; done
	for model in STORE:short_histories_without_item_dropout STORE:short_histories SASRecAll; do \
		$(BIN)/recbole-store tune --model=$$model $(ON_BEAUTY) --validation_gap=null || exit 1; done
	$(BIN)/recbole-store tune --model=STORE:short_histories $(ON_BEAUTY) \
		--epochs=8 --eval_step=2 --only=1,2,4,5,6,7,8,9,10,11
	$(BIN)/recbole-store tune --model=SASRecAll $(ON_BEAUTY) --only=12,14

bench: $(READY)
	$(INSTALL) -c constraints.txt -e ".[bench]"
	$(BIN)/python tests/benchmarks $(ONLY)

check: $(READY)
	$(INSTALL) ruff==0.17.6
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# RecBole without what it asks for, which is among this package's own requirements: its ray has no
# wheel from Python 3.12 on.
$(READY): pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --no-deps recbole==1.2.1
	$(INSTALL) -c constraints.txt -e ".[test]"
	touch $(READY)
