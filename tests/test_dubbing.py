"Other words in a video: what is kept, what is made anew, where lines lie, subtitles and loudness."
import json
from dataclasses import replace
from pathlib import Path
import numpy as np, pytest
from lipsync_kit import KitError, lipsync
from lipsync_kit.core import Audio
from lipsync_kit.media.loudness import measured, pieces_of, write_pieces
from lipsync_kit.media.probe import probe
from lipsync_kit.media.read import read_audio, read_frames
from lipsync_kit.media.write import Writer
from lipsync_kit.pipe import dub as module
from lipsync_kit.pipe.dub import dub, kept_folder, load_project
from lipsync_kit.speech.translate import chosen_translator, translate
from lipsync_kit.speech.tts import VOICES, Speech, VoiceCard

pytest.importorskip('pysubs2')
PHOTO = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'
RATE = 48_000

def sentence(i, a, b, text):
    stamp = lambda t: f'00:00:{int(t):02d},{round(t % 1 * 1000):03d}'
    return f'{i}\n{stamp(a)} --> {stamp(b)}\n{text}\n\n'

@pytest.fixture(scope='module')
def film(tmp_path_factory):
    "Three seconds of a face, with a tone on the left and noise on the right"
    folder = tmp_path_factory.mktemp('film')
    t, rng = np.arange(3 * RATE) / RATE, np.random.default_rng(0)
    both = np.stack([.1 * np.sin(2 * np.pi * 440 * t), .02 * rng.standard_normal(len(t))], 1).astype(np.float32)
    write_pieces([both], folder/'a.wav', RATE, 2)
    from lipsync_kit.media.read import read_image
    from lipsync_kit.pipe.source import resized
    image = resized(read_image(PHOTO).image[:1000, 200:1200], .25) if read_image(PHOTO).image.shape[0] > 900 else read_image(PHOTO).image
    h, w = image.shape[:2]
    with Writer(folder/'film.mp4', w, h, 25, audio=folder/'a.wav', crf=10) as out:
        for _ in range(75): out.write(image)
    lines = sentence(1, .2, .9, 'One two.') + sentence(2, 1.1, 1.8, 'Three four five.') + sentence(3, 2., 2.8, 'Six.')
    (folder/'a.srt').write_text(lines)
    return folder

@pytest.fixture
def toy(monkeypatch, tmp_path):
    "A voice of clicks, .1 s a word; the texts it was asked for"
    said = []
    def say(text, manner):
        said.append(text)
        n = round(.2 * RATE * len(text.split()) / manner.speed)
        x = np.zeros(n, np.float32)
        x[0] = x[-1] = .9
        yield Speech(Audio(x + .02 * np.sin(np.arange(n) / 5).astype(np.float32), RATE), [], text)
    cards = {**VOICES.all(), 'toy': VoiceCard('toy', 'clicks', say, ('en',))}
    monkeypatch.setattr(VOICES, 'found', cards)
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path/'home'))       # no separation: the old sound is ducked
    return said

@pytest.fixture
def undrawn(monkeypatch):
    "Dubs whose sound is made and whose frames are not; gives the jobs and their sound"
    jobs = []
    def marked(job, path, given, watch, resumable, progress):
        jobs.append((job, read_audio(job.sound.path)))
        from lipsync_kit.pipe.result import Result
        return Result(path, job.options, job.seconds, 0, job.fps, job.size)
    monkeypatch.setattr(module, 'marked_video', marked)
    return jobs

def test_a_dub_is_whole(film, toy, tmp_path):
    r = dub(film/'film.mp4', tmp_path/'out.mp4', script=film/'a.srt', voice='toy', subtitles='vtt', clean='off', mark='tag', motion_model='rules')
    sound, layout = np.concatenate(list(pieces_of(r.path).read())), pieces_of(r.path).layout
    assert layout == 'stereo' and r.subtitles == tmp_path/'out.vtt' and 'Three four five.' in r.subtitles.read_text()
    rest = slice(round(2.9 * RATE), round(2.98 * RATE))       # the bed, where nobody speaks: each channel keeps its own
    tone, noise = np.abs(np.fft.rfft(sound[rest], axis=0)).T
    assert tone.max() > 8 * np.median(tone) and noise.max() < 8 * np.median(noise)
    starts = [c['start'] for c in captions(r.subtitles)]
    voice = sound.mean(1)
    for t in starts:      # the first click of each line, to a fraction of a millisecond, after the codec
        near = np.abs(voice[round((t - .05) * RATE):round((t + .15) * RATE)])
        assert abs(near.argmax() / RATE - .05 - .03) < .032
    assert abs(captions(r.subtitles)[-1]['end'] - 2.8) < .002
    assert abs(r.seconds - 3) < .05

def captions(path):
    from lipsync_kit.media.captions import read_captions
    return [c._asdict() for c in read_captions(path)]

def test_an_edit_calls_the_voice_for_its_line_alone(film, toy, undrawn, tmp_path):
    path = tmp_path/'p.json'
    dub(film/'film.mp4', tmp_path/'out.mp4', script=film/'a.srt', project=path, voice='toy', seed=3)
    assert set(toy) == {'One two.', 'Three four five.', 'Six.'}
    facts = json.loads(path.read_text())
    assert facts['options']['seed'] == 3 and len(facts['lines']) == 3
    facts['lines'][2]['text'] = 'Seven.'
    path.write_text(json.dumps(facts))
    toy.clear()
    r = dub(film/'film.mp4', tmp_path/'out.mp4', project=path)
    assert set(toy) == {'Seven.'} and any('1 of 3 lines spoken anew' in w for w in r.warnings)
    assert r.options.voice == 'toy' and r.options.seed == 3      # decisions come from the file
    toy.clear()
    r = dub(film/'film.mp4', tmp_path/'out.mp4', project=path)
    assert not toy and any('all lines were kept' in w for w in r.warnings)
    assert len(list(kept_folder(path).iterdir())) <= 6           # of what nobody needs nothing is left

def test_new_voices_are_marked(film, toy, undrawn, tmp_path, monkeypatch):
    "Each line once, where voices can be marked and nothing but the tag was not asked for"
    from lipsync_kit.pipe import dub_sound, marks
    marked = []
    monkeypatch.setattr(dub_sound, 'mark_voice', lambda audio: (marked.append(audio.duration), audio)[1])
    monkeypatch.setattr(marks, 'can_mark_voices', lambda: True)
    def run(**options): return dub(film/'film.mp4', tmp_path/'a.mp4', script=film/'a.srt', project=tmp_path/'p.json', voice='toy', **options)
    run(mark='tag')
    assert not marked
    run(mark='auto')
    assert len(marked) >= 3 and len(toy) == 2 * len(marked)      # what was kept had no mark
    run(mark='auto')
    assert len(toy) == 2 * len(marked)

def test_separated_once(film, toy, undrawn, tmp_path, monkeypatch):
    "The old voice is taken out of each channel once; the rest stays in stereo"
    from lipsync_kit.pipe import dub_sound
    seen = []
    def parts(p, channels):
        for x in p.read():
            seen.append(len(x))
            yield x[:, channels] * np.float32(.5)
    monkeypatch.setattr(dub_sound, 'available', lambda name: True)
    monkeypatch.setattr(dub_sound, '_old_voice', parts)
    path = tmp_path/'p.json'
    dub(film/'film.mp4', tmp_path/'out.mp4', script=film/'a.srt', project=path, voice='toy')
    assert sum(seen) >= 3 * RATE - 1
    seen.clear()
    r = dub(film/'film.mp4', tmp_path/'out.mp4', project=path)
    assert not seen and any('so was the sound without the old voice' in w for w in r.warnings)
    old = np.concatenate(list(pieces_of(film/'film.mp4').read()))
    kept = np.concatenate(list(dub_sound.without(pieces_of(film/'film.mp4'), next(kept_folder(path).glob('voice-*'))).read()))
    assert np.abs(kept - .5 * old).max() < 1e-4

def test_lines_stand_where_they_belong(film, toy, undrawn, tmp_path):
    "To the sample, before any codec"
    dub(film/'film.mp4', tmp_path/'out.mp4', script=film/'a.srt', voice='toy')
    job, _ = undrawn[0]
    x = job.sound.audio
    for c in job.captions:
        at = np.flatnonzero(np.abs(x.samples[:round((c.start + .2) * x.rate)]) > 0)
        assert (at >= round(c.start * x.rate) - 20).any()
    loud = np.flatnonzero(np.abs(x.samples) > .1)
    assert abs(loud[0] / x.rate - job.captions[0].start) < .001 and abs(loud[-1] / x.rate - job.captions[-1].end) < .001

@pytest.mark.parametrize('wrong,says', [(dict(), 'what is to be said'), (dict(script='none.srt'), 'no file'), (dict(to='de'), 'nothing here translates'),
    (dict(to='xx1'), 'no language'), (dict(script='a.srt', loudness=3.), 'loudness must lie in'), (dict(script='a.srt', subtitles='sub'), 'no subtitles is called')])
def test_wrong_dubs_are_refused_in_a_sentence(film, toy, wrong, says, monkeypatch):
    for k in 'OPENAI_BASE_URL', 'OPENAI_API_KEY': monkeypatch.delenv(k, raising=False)
    if wrong.get('script') == 'a.srt': wrong = {**wrong, 'script': film/'a.srt'}
    with pytest.raises(KitError, match=says): dub(film/'film.mp4', voice='toy', **wrong)

def test_all_ways_to_translate_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path))
    monkeypatch.setenv('PATH', str(tmp_path))
    for k in 'OPENAI_BASE_URL', 'OPENAI_API_KEY': monkeypatch.delenv(k, raising=False)
    with pytest.raises(KitError) as e: chosen_translator('auto', 'en', 'de')
    assert all(x in str(e.value) for x in ('OPENAI_BASE_URL', str(tmp_path/'marian'/'en-de'), 'apertium-eng-deu', '--script'))
    assert '\n' not in str(e.value)

def test_an_edited_line_is_all_that_is_drawn_anew(toy, tmp_path, monkeypatch):
    "Six seconds with two lines: frames far from the edited one are taken over to the byte; an option that every frame shows draws all"
    from lipsync_kit.media.read import read_image
    from lipsync_kit.models.portrait.model import Portrait
    from lipsync_kit.pipe.source import resized
    image = resized(read_image(PHOTO).image, 160 / max(read_image(PHOTO).image.shape))
    with Writer(tmp_path/'film.mp4', *image.shape[1::-1], 25, crf=10) as out:
        for _ in range(150): out.write(image)
    (tmp_path/'a.srt').write_text(sentence(1, .3, 1.1, 'One two three.') + sentence(2, 4.6, 5.6, 'Four five.'))
    drawn, redrawn = [], Portrait._redrawn
    monkeypatch.setattr(Portrait, '_redrawn', lambda self, frame, *a: (drawn.append(float(frame.time)), redrawn(self, frame, *a))[1])
    def run(**options):
        drawn.clear()
        r = dub(tmp_path/'film.mp4', tmp_path/'a.mp4', script=tmp_path/'a.srt', project=tmp_path/'p.json', voice='toy', motion_model='mel', mark='tag',
                speaker_selection='default', **options)
        assert r.n_frames == 150
        return [np.asarray(f.image) for f in read_frames(r.path)], sorted(drawn), ' '.join(r.warnings)
    before, times, _ = run()
    assert len(times) == 150
    assert 'the picture is as it was' in run()[2] and not drawn
    p = load_project(tmp_path/'p.json')
    module.save_project(tmp_path/'p.json', replace(p, lines=[p.lines[0], replace(p.lines[1], text='Seven eight nine ten.')]))
    after, times, said = run()
    assert times and min(times) >= 3 and 'of 150 frames were drawn anew' in said
    kept = int(150 - int(said.split(' of 150 frames')[0].split()[-1]))
    assert kept >= 75 and all(np.array_equal(a, b) for a, b in zip(before[:kept], after[:kept]))
    assert any(not np.array_equal(a, b) for a, b in zip(before[115:140], after[115:140]))
    for change in dict(crf=24), dict(crf=24, gain=.7):
        assert '150 of 150 frames were drawn anew' in run(**change)[2] and len(drawn) == 150

def test_a_talk_is_subtitled_and_loud(toy, tmp_path):
    "Burned in at the loudness that was asked for; the words go with the voice"
    r = lipsync(PHOTO, text='One two three. Four five.', voice='hibari' if not VOICES.get('hibari').missing else 'toy', out=tmp_path/'a.mp4', frame='head', size=160, subtitles='burn', loudness=-16,
                mark='tag', motion_model='rules', idle=False)
    m = measured(r.path)
    assert abs(m.integrated + 16) < .7 and m.peak < -1
    frames = [np.asarray(f.image) for f in read_frames(r.path)]
    low = [f[-40:].min(-1).max() for f in frames]
    assert max(low) > 225 and r.subtitles is None
    plain = lipsync(PHOTO, text='One two three. Four five.', voice=r.options.voice, out=tmp_path/'b.mp4', frame='head', size=160, subtitles='srt', mark='tag', motion_model='rules', idle=False)
    lines = captions(plain.subtitles)
    assert [c['text'] for c in lines] == ['One two three.', 'Four five.'] and lines[0]['end'] <= lines[1]['start'] + .01
    with pytest.raises(KitError, match='no words'): lipsync(PHOTO, motion=plain.motion, out=tmp_path/'c.mp4', subtitles='srt')

def test_a_marian_folder(tmp_path, monkeypatch):
    "A tiny model of random numbers: what CTranslate2 says is what transformers says"
    spm, tr = pytest.importorskip('sentencepiece'), pytest.importorskip('transformers')
    pytest.importorskip('ctranslate2')
    import torch
    monkeypatch.setenv('LIPSYNC_KIT_HOME', str(tmp_path/'home'))
    folder = tmp_path/'home'/'marian'/'en-de'
    folder.mkdir(parents=True)
    (tmp_path/'text.txt').write_text('\n'.join(f'the {a} house is {b} and green' for a in 'red big old new'.split() for b in 'small tall wide long'.split()))
    spm.SentencePieceTrainer.train(input=str(tmp_path/'text.txt'), model_prefix=str(tmp_path/'m'), vocab_size=22, minloglevel=2)
    for n in 'source.spm', 'target.spm': (folder/n).write_bytes((tmp_path/'m.model').read_bytes())
    cut = spm.SentencePieceProcessor(model_file=str(tmp_path/'m.model'))
    vocab = {'</s>': 0, '<unk>': 1} | {p: i + 2 for i, p in enumerate(cut.id_to_piece(i) for i in range(3, cut.get_piece_size()))}
    vocab['<pad>'] = len(vocab)
    (folder/'vocab.json').write_text(json.dumps(vocab))
    (folder/'tokenizer_config.json').write_text(json.dumps(dict(source_lang='en', target_lang='de', tokenizer_class='MarianTokenizer', model_max_length=512)))
    torch.manual_seed(0)
    pad = vocab['<pad>']
    config = tr.MarianConfig(vocab_size=len(vocab), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=48,
                             decoder_ffn_dim=48, max_position_embeddings=512, pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad, forced_eos_token_id=0, scale_embedding=True, static_position_embeddings=True)
    model = tr.MarianMTModel(config).eval()
    model.save_pretrained(folder)
    lines = list(translate(['the red house is small', 'the old house'], 'en', 'de'))
    assert len(lines) == 2 and chosen_translator('auto', 'en', 'de')[0].name == 'marian'
    assert lines == list(translate(['the red house is small', 'the old house'], 'en', 'de', f'marian:{folder}'))
    assert (tmp_path/'home'/'marian'/'.converted').is_dir()
    (folder/'model.safetensors').write_bytes(b'no weights')
    from lipsync_kit.speech.translators import marian
    marian._model.cache_clear()
    with pytest.raises(KitError, match='can be converted'): list(translate(['the red house'], 'en', 'de'))
