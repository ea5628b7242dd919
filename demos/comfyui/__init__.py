"""Four nodes of ComfyUI that call the command `lipsync` in a process of its own.

Nothing of lipsync_kit is imported here, so its packages need not agree with ComfyUI's: install it anywhere (`pipx install lipsync_kit`) and, where the
command is not on the path, name it in LIPSYNC_KIT_COMMAND. Copy this folder into ComfyUI's `custom_nodes`."""
import json, os, shlex, subprocess, tempfile, wave
from pathlib import Path
import numpy as np

def command():
    "The words that start `lipsync`"
    return shlex.split(os.environ.get('LIPSYNC_KIT_COMMAND', 'lipsync'))

def called(*args):
    "The object that a command prints; an error in its own words"
    p = subprocess.run([*command(), *map(str, args), '--json'], capture_output=True, text=True, encoding='utf-8')
    try: said = json.loads(p.stdout)
    except ValueError: raise RuntimeError(f'lipsync ended with {p.returncode}: {p.stderr.strip()[-500:]}') from None
    if 'error' in said and isinstance(said['error'], dict): raise RuntimeError('; '.join(filter(None, (said['error']['message'], said['error']['fix']))))
    return said

def folder(): return Path(tempfile.mkdtemp(prefix='lipsync_comfyui_'))

def saved_picture(image, path):
    "The first picture of a batch, [b,h,w,3] 0..1, as a PNG"
    from PIL import Image
    Image.fromarray(np.rint(np.clip(np.asarray(image)[0], 0, 1) * 255).astype(np.uint8)).save(path)
    return path

def saved_sound(audio, path):
    "ComfyUI's audio, [b,c,n] -1..1 and its rate, as a WAV with one channel"
    x = np.asarray(audio['waveform'])[0].mean(0)
    with wave.open(str(path), 'wb') as w:
        w.setnchannels(1); w.setsampwidth(2); w.setframerate(int(audio['sample_rate']))
        w.writeframes(np.rint(np.clip(x, -1, 1) * 32767).astype('<i2').tobytes())
    return path

def read_sound(path):
    "A WAV as ComfyUI's audio"
    import torch
    with wave.open(str(path), 'rb') as w:
        x = np.frombuffer(w.readframes(w.getnframes()), '<i2').astype(np.float32).reshape(-1, w.getnchannels()).T / 32768
        return dict(waveform=torch.from_numpy(x.copy())[None], sample_rate=w.getframerate())

OPTIONS = ('STRING', dict(default='', multiline=False, tooltip='further flags, as for `lipsync talk`: --emotion happy --size 512'))

class LipsyncTalk:
    "A picture and a recording become a video"
    CATEGORY, FUNCTION, RETURN_TYPES, RETURN_NAMES = 'lipsync_kit', 'run', ('STRING',), ('video',)
    @classmethod
    def INPUT_TYPES(cls): return dict(required=dict(image=('IMAGE',), audio=('AUDIO',), model=('STRING', dict(default='portrait'))), optional=dict(options=OPTIONS))
    def run(self, image, audio, model='portrait', options=''):
        d = folder()
        face, sound = saved_picture(image, d/'face.png'), saved_sound(audio, d/'speech.wav')
        return (called('talk', face, sound, '--model', model, '-o', d/'talk.mp4', *shlex.split(options))['path'],)

class LipsyncTalkVideo:
    "A video says something else"
    CATEGORY, FUNCTION, RETURN_TYPES, RETURN_NAMES = 'lipsync_kit', 'run', ('STRING',), ('video',)
    @classmethod
    def INPUT_TYPES(cls): return dict(required=dict(video=('STRING', dict(default='')), audio=('AUDIO',), model=('STRING', dict(default='portrait'))), optional=dict(options=OPTIONS))
    def run(self, video, audio, model='portrait', options=''):
        d = folder()
        return (called('talk', video, saved_sound(audio, d/'speech.wav'), '--model', model, '-o', d/'talk.mp4', *shlex.split(options))['path'],)

class LipsyncVoice:
    "A text is spoken"
    CATEGORY, FUNCTION, RETURN_TYPES = 'lipsync_kit', 'run', ('AUDIO',)
    @classmethod
    def INPUT_TYPES(cls): return dict(required=dict(text=('STRING', dict(multiline=True, default='Hello.')), voice=('STRING', dict(default='auto'))))
    def run(self, text, voice='auto'):
        out = folder()/'speech.wav'
        called('voices', voice, '--text', text, '-o', out)
        return (read_sound(out),)

class LipsyncScore:
    "How well a video is in sync and looks, as JSON"
    CATEGORY, FUNCTION, RETURN_TYPES, RETURN_NAMES = 'lipsync_kit', 'run', ('STRING',), ('scores',)
    @classmethod
    def INPUT_TYPES(cls): return dict(required=dict(video=('STRING', dict(default=''))))
    def run(self, video): return (json.dumps(called('score', video)),)

NODE_CLASS_MAPPINGS = dict(LipsyncTalk=LipsyncTalk, LipsyncTalkVideo=LipsyncTalkVideo, LipsyncVoice=LipsyncVoice, LipsyncScore=LipsyncScore)
NODE_DISPLAY_NAME_MAPPINGS = dict(LipsyncTalk='Lipsync: talk (picture)', LipsyncTalkVideo='Lipsync: talk (video)', LipsyncVoice='Lipsync: voice', LipsyncScore='Lipsync: score')
