# make run     STORE on ml-100k, with the committed results of the other models beside it
# make test    the test suite
# make results run what results/ lacks on ml-100k, and remake its tables and README's (hours)
# make beauty  the same on Amazon Beauty; DATA=dataset names the folder that holds Beauty/
# make steam   some of them on Steam-100K, with Beauty's settings; DATA as above
# make trials  the settings listed in properties/trials/ that results/trials/ lacks (days); DATA as above
# make bench   speed and memory: results/bench.json and README's table; ONLY=decode runs one part
# make check   lint and format

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/ready

DATA ?= dataset

# Variants of STORE without one of its parts, or with one more.
PARTS := without_alignment codes_alone without_item_head without_dense_tokenizer \
	without_reconstruction without_contrastive without_collaborative_pairs without_constraint \
	collaborative_start
# What is run with one seed on ml-100k, beside those with three.
ONCE := SASRec:tuned GRU4Rec:tuned BERT4Rec:tuned TIGER:small TIGER:small_random $(addprefix STORE:,$(PARTS))
# Models on Beauty.
BEAUTY := STORE:short_histories STORE:short_histories_without_item_dropout \
	STORE:short_histories_random_start SASRecAll:collaborative_start \
	SASRecAll:without_training_filter SASRecAll TIGER:short_histories
# Models on Beauty without some of its items, each seed another draw of them.
COLD := STORE:short_histories_cold SASRecAll:cold
# What Beauty's settings do on other data.
STEAM := STORE:short_histories SASRecAll:collaborative_start SASRecAll:without_training_filter
FILTERED := --data_path=$(DATA) --filter_history=True --max_hours=2.5
ON_BEAUTY := --dataset=Beauty $(FILTERED)
comma := ,
space := $() $()

.PHONY: run test results beauty steam trials bench check

run: $(READY)
	$(BIN)/python run_recbole_store.py --model=STORE --dataset=ml-100k --beside=results/ml-100k

test: $(READY)
	$(BIN)/python -m pytest

results: $(READY)
	$(BIN)/python run_recbole_store.py --model=STORE,SASRecAll,BPR:tuned,Pop --dataset=ml-100k \
		--seeds=3 --results=results
	$(BIN)/python run_recbole_store.py --model=$(subst $(space),$(comma),$(ONCE)) \
		--dataset=ml-100k --results=results
	$(BIN)/recbole-store results results --readme README.md

beauty: $(READY)
	$(BIN)/python run_recbole_store.py --model=$(subst $(space),$(comma),$(BEAUTY)) \
		$(ON_BEAUTY) --results=results
	$(BIN)/python run_recbole_store.py --model=$(subst $(space),$(comma),$(COLD)) \
		$(ON_BEAUTY) --seeds=2 --results=results
	$(BIN)/recbole-store results results --readme README.md

steam: $(READY)
	$(BIN)/python run_recbole_store.py --model=$(subst $(space),$(comma),$(STEAM)) \
		--dataset=Steam-100K $(FILTERED) --results=results
	$(BIN)/recbole-store results results --readme README.md

trials: $(READY)
	for model in STORE SASRecAll BPR:tuned TIGER:small SASRec:tuned GRU4Rec:tuned BERT4Rec:tuned; do \
		$(BIN)/recbole-store trials --model=$$model || exit 1; done
	for model in STORE:short_histories_without_item_dropout STORE:short_histories SASRecAll; do \
		$(BIN)/recbole-store trials --model=$$model $(ON_BEAUTY) || exit 1; done
	$(BIN)/recbole-store trials --model=STORE:short_histories $(ON_BEAUTY) \
		--validation_gap=1 --epochs=8 --eval_step=2 --only=1,2,4,5,6,7,8,9,10,11
	$(BIN)/recbole-store trials --model=SASRecAll $(ON_BEAUTY) --validation_gap=1 --only=12,14

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python tests/benchmarks $(ONLY)

check: $(READY)
	$(BIN)/python -m pip install --quiet ruff==0.17.6
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(READY): setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $(READY)
