"""Prototype."""
import json, math, random, sys, time, hashlib
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from embedded_corpus import draw_documents, MIXTURE
from cotune.embedded._words import vocabulary

def build_tokenizer():
    special=["<pad>","<s>","</s>"]
    tokens=[*special,*(f"<0x{i:02X}>" for i in range(256)),"▁",*".,:?!",*(f"▁{x}" for x in vocabulary())]
    core=Tokenizer(models.BPE(vocab={t:i for i,t in enumerate(tokens)},merges=[],byte_fallback=True,ignore_merges=True))
    core.pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Metaspace(),pre_tokenizers.Punctuation("isolated")])
    core.decoder=decoders.Sequence([decoders.Replace("▁"," "),decoders.ByteFallback(),decoders.Fuse(),decoders.Strip(" ",1,0)])
    core.post_processor=processors.TemplateProcessing(single="<s> $A",pair="<s> $A $B",special_tokens=[("<s>",1)])
    return PreTrainedTokenizerFast(tokenizer_object=core,bos_token="<s>",eos_token="</s>",pad_token="<pad>",model_max_length=256)

def pack(core, rng, rows, width, low):
    need=rows*width; ids=[]; wt=[]
    while len(ids)<need:
        docs=draw_documents(256,rng)
        P=core.encode_batch([d.prompt for d in docs],add_special_tokens=False); A=core.encode_batch([d.answer for d in docs],add_special_tokens=False)
        for p,a in zip(P,A):
            ids+= [1]+p.ids+a.ids+[2]; wt+=[low]*(1+len(p.ids))+[1.0]*(len(a.ids)) +[low]
    return torch.tensor(ids[:need]).view(rows,width), torch.tensor(wt[:need]).view(rows,width)

def main():
    out=Path(sys.argv[1]); minutes=float(sys.argv[2]); layers=int(sys.argv[3]); inter=int(sys.argv[4]); peak=float(sys.argv[5]) if len(sys.argv)>5 else 3e-3
    torch.set_num_threads(2); torch.manual_seed(0); rng=random.Random(0)
    tok=build_tokenizer(); core=tok.backend_tokenizer
    cfg=LlamaConfig(vocab_size=len(tok),hidden_size=128,intermediate_size=inter,num_hidden_layers=layers,num_attention_heads=4,num_key_value_heads=4,tie_word_embeddings=True,max_position_embeddings=256,bos_token_id=1,eos_token_id=2,pad_token_id=0)
    model=LlamaForCausalLM(cfg)
    print(sum(p.numel() for p in model.parameters()))
    decay=[p for p in model.parameters() if p.ndim==2]; rest=[p for p in model.parameters() if p.ndim<2]
    opt=torch.optim.AdamW([{"params":decay,"weight_decay":0.05},{"params":rest,"weight_decay":0.0}],lr=peak,betas=(0.9,0.98))
    steps=int(sys.argv[6]) if len(sys.argv)>6 else 5000
    t0=time.time()
    rows,width=40,64
    for s in range(steps):
        lr=peak*min(1,(s+1)/200)*(0.5*(1+math.cos(math.pi*s/steps))*0.98+0.02)
        for g in opt.param_groups: g["lr"]=lr
        x,w=pack(core,rng,rows,width,0.1)
        logits=model(input_ids=x).logits[:,:-1]
        l=torch.nn.functional.cross_entropy(logits.reshape(-1,logits.shape[-1]),x[:,1:].reshape(-1),reduction="none")
        w=w[:,1:].reshape(-1); loss=(l*w).sum()/w.sum()
        opt.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(model.parameters(),1.0); opt.step()
        if s%250==0 or s==steps-1:
            sharp=w==1
            print(s,f"{time.time()-t0:.0f}s loss {loss.item():.3f} ans {l[sharp].mean().item():.3f}",flush=True)
            if s%1000==0 or s==steps-1: print(evaluate(model,core),flush=True)
    model.half().save_pretrained(out); tok.save_pretrained(out)

@torch.no_grad()
def evaluate(model,core,n=200):
    rng=random.Random(99); res={}
    for mk in MIXTURE:
        ok=0
        docs=[mk(rng) for _ in range(n)]
        seqs=[]; 
        for d in docs:
            p=[1]+core.encode(d.prompt,add_special_tokens=False).ids; a=core.encode(d.answer,add_special_tokens=False).ids
            seqs.append((p,a))
        m=max(len(p)+len(a) for p,a in seqs)
        x=torch.zeros(n,m,dtype=torch.long)
        for i,(p,a) in enumerate(seqs): x[i,:len(p)+len(a)]=torch.tensor(p+a)
        pred=model(input_ids=x).logits.argmax(-1)
        for i,(p,a) in enumerate(seqs): ok+=pred[i,len(p)-1:len(p)+len(a)-1].tolist()==a
        res[mk.__name__]=round(ok/n,2)
    return res
main()
