"""How well the weight-free score of synchrony tells matched sound from other sound, and finds a shift of 200 ms, on real clips.

    python bench/sync_score.py [folder with manifest.json] [folder of heads, one a person, fitted without that person]
Without such heads the shipped one is used, which has heard most of these people: the figures flatter then, and the last line says so."""
import json, sys
from pathlib import Path
import numpy as np
from lipsync_kit.metrics.mouth_sync import agreement, at_times, prediction, high_pass, mismatched_audio, sync_curve
from lipsync_kit.metrics.clip import analyse
from lipsync_kit.motion.network import FPS, motion_model_card
from measure import MEDIA

media = Path(sys.argv[1]) if len(sys.argv) > 1 else MEDIA
heads = Path(sys.argv[2]) if len(sys.argv) > 2 else None
fitted = {c['person'] for c in motion_model_card()['clips'] if 'models' in c['used_for']}

clips = []
for c in json.loads((media/'manifest.json').read_text())['clips']:
    lag = ((c.get('sync') or {}).get('learned') or {}).get('mouth_lag_ms')
    if c['subset'] != 'speaking' or lag is None: continue
    own = heads/f"{c['person']}.safetensors" if heads else None
    own = own if own and own.exists() else None
    w = analyse(media/c['file'], [])
    said = prediction(w.audio, own or 'auto')
    clips.append((c['name'], lag / 1000, high_pass(said), high_pass(at_times(w.times, w.mouth, len(said))), own is None and c['person'] in fitted))

def score(said, seen):
    "The score and the confidence"
    far = mismatched_audio(said, seen); r = agreement(said, seen)
    return r, (r - far.mean()) / far.std()

def late(said, seconds): return np.roll(said, round(seconds * FPS), 0)
def other(said, n): return np.tile(said, (-(-n // len(said)), 1))[:n]

own, strange, signs, errors, raw = [], [], [], [], []
for name, lag, said, seen, known in clips:
    raw.append(agreement(said, seen))
    n = min(len(said), len(seen)); said, seen = late(said, lag)[:n], seen[:n]     # the clip's own offset, known from its manifest, is taken out
    if agreement(said, seen) is None: print(f'{name:26} no face with sound'); continue
    own.append(score(said, seen))
    strange += [score(other(s, n), seen) for m, _, s, _, _ in clips if m != name]
    at, r = sync_curve(said, seen); errors.append(at[np.nanargmax(r)])
    for shift in (-.2, .2):
        at, r = sync_curve(late(said, -shift), seen); signs.append(np.sign(at[np.nanargmax(r)]) == np.sign(shift))
    print(f"{name:26} score {own[-1][0]:5.2f}  confidence {own[-1][1]:5.1f}  lag left {1000 * errors[-1]:5.0f} ms  shift of 200 ms found {int(signs[-2])}{int(signs[-1])}{'  (head has heard this person)' if known else ''}", flush=True)
a, b = np.array(own), np.array(strange)
auc = [np.mean((x[:, None] > y) + .5 * (x[:, None] == y)) for x, y in zip(a.T, b.T)]
print(f"mean score {a[:, 0].mean():.3f} with each clip's own offset taken out, {np.mean([x for x in raw if x is not None]):.3f} as they are")
print(f"{len(own)} clips against {len(strange)} with another clip's sound: AUC of the score {auc[0]:.3f}, of the confidence {auc[1]:.3f} (target 0.95)")
print(f"with the offsets that the clips have as they are (up to 240 ms): AUC of the score {np.mean([[(x > y) for y in b[:, 0]] for x in raw if x is not None]):.3f}")
print(f"sign of a shift of 200 ms right on {100 * np.mean(signs):.0f} % (target 90); without a shift within 40 ms of the manifest's lag on {100 * np.mean(np.abs(errors) <= .041):.0f} %")
print(f"{sum(c[4] for c in clips)} of {len(clips)} clips were judged by a head that has heard the person")
