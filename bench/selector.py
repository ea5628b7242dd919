"""Does `--model auto` choose well, and does it know what a run will take? Short pieces of 20 inputs (stills and videos of many sizes, a prepared
avatar), each drawn by every model that is whole here, in a process of its own. Two answers in one run: predicted seconds (of processor time, since
other programs disturb the clock) and memory against those measured; and regret, how much worse the choice is than the best model, in seconds for
'fast' and in what `evaluate` finds without trained weights (`mouth_learned`) for 'best' and 'balanced', where the choice
knows what was found on the other inputs (leave one out), as after `lipsync bench`.

    python bench/selector.py                # all 20; what is measured is kept, so that a run that was stopped goes on
    python bench/selector.py --inputs 3     # three more, then the tables over all that are there
    python bench/selector.py --inputs 0     # the tables alone, by the predictor as it is now

It starts from `lipsync bench me`, whose figures have to be there.
"""
import argparse, json, os, subprocess, sys, threading, time
from pathlib import Path
import numpy as np

ROOT = Path(__file__).parent.parent
MEDIA = Path(os.environ.get('LIPSYNC_MEDIA', ROOT.parent/'shared'/'media'))
KEPT = Path(os.environ.get('LIPSYNC_SELECTOR', 'selector_bench'))   # folder of pieces and figures
LONGEST = 900                                                       # seconds that one job may take
# picture or video, speech ('' for the video's own), seconds, longer side, frames a second of a still's video
INPUTS = [('portraits/photo_woman_256.png', 'speech/hdtf_radio31_en.wav', 5.2, 256, 12), ('clips/grid_bbaf2n.mpg', 'speech/latentsync_1.wav', 5.4, 360, None),
          ('portraits/painting_author.png', 'speech/speech_fr.wav', 6.4, 384, 12), ('clips/hdtf_aoc.mp4', '', 5.5, 384, None),
          ('portraits/photo_woman_624.jpg', 'speech/speech_ru.wav', 6., 624, 15), ('portraits/statue.jpg', 'speech/english_mt.wav', 8., 400, 10),
          ('clips/news_german_anchor.mp4', '', 5.3, 320, None), ('portraits/sunglasses_man.jpg', 'speech/latentsync_1.wav', 5.2, 480, 12),
          ('portraits/painting_pearl.jpg', 'speech/narration_jv.wav', 5.5, 720, 12), ('avatar', 'speech/english_mt.wav', 5.4, 384, None),
          ('portraits/cartoon_boy.jpg', 'speech/hdtf_radio31_en.wav', 6.5, 426, 12), ('clips/podium_woman.mp4', '', 5.3, 480, None),
          ('portraits/photo_gray.jpg', 'speech/singing_1.wav', 5.5, 640, 10), ('portraits/painting_old_woman.png', 'speech/poem_zh.wav', 5.3, 512, 20),
          ('clips/actor_selfie.mp4', '', 5.5, 512, None), ('portraits/man_turned_wide.png', 'speech/speech_fr.wav', 5.5, 540, 12),
          ('portraits/group_six.jpg', 'speech/hdtf_radio31_en.wav', 5.4, 640, 12), ('clips/dfdc_woman_indoor.mp4', '', 5.3, 400, None),
          ('portraits/near_profile.jpg', 'speech/english_mt.wav', 5.4, 320, 12), ('clips/hdtf_radio42.mp4', 'speech/speech_ru.wav', 5.6, 256, None)]
ONE = '''
import json, sys
from lipsync_kit.pipe.run import lipsync
a = json.loads(sys.argv[1])
r = lipsync(a.pop('face'), **a)
print(json.dumps([r.memory, r.n_frames]))
'''

def piece(i, face, speech, seconds, size, fps):
    "The files of one input, cut once: face, audio, options"
    from lipsync_kit.media.read import read_audio, read_frames
    from lipsync_kit.media.sound import write_audio
    from lipsync_kit.media.write import Writer
    import cv2
    folder = KEPT/f'{i:02}'; folder.mkdir(parents=True, exist_ok=True)
    film = MEDIA/('clips/hdtf_peterroskam0.mp4' if face == 'avatar' else face)
    sound = folder/'speech.wav'
    if not sound.exists(): write_audio(read_audio(MEDIA/speech if speech else film).cut(0, seconds), sound)
    if face == 'avatar':
        from lipsync_kit.avatar.make import make_avatar
        if not (folder/'me.avatar').exists(): make_avatar(film, folder/'me.avatar', consent='a bench', steps=0)
        return folder/'me.avatar', sound, {}
    if film.parent.name == 'portraits': return film, sound, dict(size=size, fps=fps)
    cut = folder/'face.mp4'
    if not cut.exists():
        from lipsync_kit.media.probe import probe
        c = probe(film); k = min(1, size / max(c.width, c.height)); w, h = (int(k * x) // 2 * 2 for x in (c.width, c.height))
        with Writer(cut, w, h, c.fps) as out:
            for f in read_frames(film, end=seconds): out.write(cv2.resize(f.image, (w, h), interpolation=cv2.INTER_AREA), f.time)
    return cut, sound, {}

def drawn(model, face, sound, options, out):
    "What one model takes for it: seconds, seconds of processor time, MB"
    args = json.dumps(dict(face=str(face), audio=str(sound), out=str(out), model=model, **options))
    t, speeds = time.perf_counter(), out.with_suffix('.speeds')
    speeds.unlink(missing_ok=True)
    p = subprocess.Popen([sys.executable, '-c', ONE, args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=os.environ | dict(PYTHONPATH=str(ROOT), LIPSYNC_KIT_SPEEDS=str(speeds)))
    killer = threading.Timer(LONGEST, p.kill); killer.start()
    said, err = p.stdout.read(), p.stderr.read()
    _, status, used = os.wait4(p.pid, 0); killer.cancel(); p.returncode = status
    if status: return dict(model=model, failed=err.strip().splitlines()[-1] if err.strip() else f'status {status}')
    memory, n = json.loads(said.strip().splitlines()[-1])
    run = json.loads(speeds.read_text().splitlines()[-1]) if speeds.exists() else {}
    return dict(model=model, cpu=used.ru_utime + used.ru_stime, wall=time.perf_counter() - t, memory=memory, frames=n, run=run)

def quality(video):
    "What the check of `--quality best` measures, and whether a video passes it"
    from lipsync_kit.metrics.evaluate import evaluate
    v = evaluate(video, metrics=['mouth_learned'], real=False).values['mouth_learned']
    return dict(quality=v.value, follows=v.value is None or v.value > v.baselines.get('shuffled', -1))

def measure(i):
    "Everything about one input, in a file"
    from lipsync_kit.pipe.auto import chosen_for
    face, sound, options = piece(i, *INPUTS[i])
    ranking, _, _ = chosen_for(face, sound, model='auto', **options)
    rows = []
    for c in ranking.candidates:
        out = KEPT/f'{i:02}'/f'{c.model}.mp4'
        row = drawn(c.model, face, sound, options, out)
        if 'failed' not in row: row.update(quality(out))
        rows.append(row)
        print(f'  {INPUTS[i][0]}: {json.dumps({k: v for k, v in row.items() if k != "run"})}', flush=True)
    (KEPT/f'{i:02}.json').write_text(json.dumps(rows, indent=1))

def told_of_others(i, everything):
    "What was found of the models on the other inputs, as `lipsync bench` would keep it: the choice never knows its own answer"
    from lipsync_kit.select.measured import Quality, add_measurements
    def still(k): return INPUTS[k][0].startswith('portraits')
    found = []
    for task, kind in ('animate', True), ('dub', False):
        for m in sorted({m for rows in everything.values() for m in rows}):
            q = [rows[m]['quality'] for k, rows in everything.items() if k != i and still(k) == kind and m in rows and rows[m]['quality'] is not None]
            if q: found.append(Quality(m, task, float(np.mean(q)), len(q), 'bench/selector.py'))
    path = KEPT/'measurements.json'
    path.unlink(missing_ok=True)
    os.environ['LIPSYNC_KIT_MEASUREMENTS'] = str(add_measurements([*COSTS, *found], path))

COSTS = []

def table(done):
    "Predictions against what was measured, and regret"
    from lipsync_kit.pipe.auto import chosen_for
    from lipsync_kit.select.choose import SLOW
    errors, memories, regret, scores = [], [], {'fast': [], 'balanced': [], 'best': []}, {'balanced': [], 'best': []}
    everything = {}
    print('\ninput, model: processor seconds predicted / measured, MB predicted / measured, quality')
    for i in done:
        rows = everything[i] = {r['model']: r for r in json.loads((KEPT/f'{i:02}.json').read_text()) if 'failed' not in r}
        for m, r in rows.items():
            if 'follows' not in r: r.update(quality(KEPT/f'{i:02}'/f'{m}.mp4'))
        (KEPT/f'{i:02}.json').write_text(json.dumps(list(rows.values()), indent=1))
    for i in done:
        rows = everything[i]
        told_of_others(i, everything)
        face, sound, options = piece(i, *INPUTS[i])
        for word, all_of in regret.items():
            ranking, _, _ = chosen_for(face, sound, model='auto', quality_priority=word, **options)
            order, quickest = [c.model for c in ranking.candidates if c.model in rows], min(r['cpu'] for r in rows.values())
            if word == 'fast': all_of.append(rows[order[0]]['cpu'] / quickest - 1); continue
            # the best of the quick ones, or of all
            known = {m: r for m, r in rows.items() if r['quality'] is not None and (word == 'best' or r['cpu'] <= SLOW * quickest)}
            order = [m for m in order if m in known]
            if not order: continue
            passing = [m for m in order if known[m]['follows']] if word == 'best' else order     # where one fails the next goes on
            mine = passing[0] if passing else max(order, key=lambda m: known[m]['quality'])
            scores[word].append((known[mine]['quality'], max(r['quality'] for r in known.values())))
            all_of.append(1 - scores[word][-1][0] / scores[word][-1][1])
        for c in ranking.candidates:
            if (r := rows.get(c.model)) is None or c.prediction is None: continue
            p = c.prediction
            errors.append(p.cpu / r['cpu'] - 1); memories.append(p.memory / r['memory'] - 1)
            q = '-' if r['quality'] is None else f"{r['quality']:.2f}"
            print(f"  {Path(INPUTS[i][0]).name:26} {c.model:10} {p.cpu:6.1f} / {r['cpu']:6.1f}   {p.memory:5} / {r['memory']:5}   {q}")
    for name, e in ('seconds', errors), ('memory', memories):
        e = np.abs(e)
        print(f'{name}: off by {100 * np.median(e):.0f} % in the median, at most {100 * e.max():.0f} %; within 30 %: {(e <= .3).sum()} of {len(e)}')
    for word, e in regret.items():
        print(f'regret {word}: {100 * np.mean(e):.1f} % in the mean, at most {100 * np.max(e):.1f} %, over {len(e)} inputs')
        if word in scores:      # a mouth that follows the speech little with any model weighs as little
            mine, top = np.array(scores[word]).T
            print(f'  all inputs together: {mine.mean():.3f} where the best model of each has {top.mean():.3f}, {100 * (1 - mine.mean() / top.mean()):.1f} % less')

def main():
    ask = argparse.ArgumentParser()
    ask.add_argument('--inputs', type=int, default=len(INPUTS))
    n = ask.parse_args().inputs
    sys.path.insert(0, str(ROOT))
    from lipsync_kit.select.measured import read_measurements
    COSTS.extend(read_measurements().costs)
    if not COSTS: sys.exit('run `lipsync bench me` first')
    if not MEDIA.exists(): sys.exit(f'{MEDIA} is not there')
    KEPT.mkdir(exist_ok=True)
    todo = [i for i in range(len(INPUTS)) if not (KEPT/f'{i:02}.json').exists()]
    for i in todo[:n]: measure(i)
    if done := [i for i in range(len(INPUTS)) if (KEPT/f'{i:02}.json').exists()]: table(done)

if __name__ == '__main__': main()
