"""Panels: choices of released weights for comparisons of many models.

`clip-83` has 51 zero-shot CLIP models and 32 of them fine-tuned to ImageNet, as many of
each as the study of Tu, Deng and Gedeon (2024); `imagenet-127` has as many classifiers
as it. That study names its models in part, so the choice is jclip's, by these rules:

* every training source of which there are released weights, each with several sizes;
  DataComp's and CommonPool's of all scales and filters, for what data change;
* both kinds of image tower (transformer, CNN), and pairs that differ in one fact;
* classifiers: 86 of ImageNet-1k alone without interventions, from the weakest (AlexNet,
  which fits of robustness need) to the strongest, 31 that saw more data, 10 with an
  intervention; CNNs, transformers and MLPs in all but the last.

Self-supervised contrastive models with a linear probe are not among them: neither timm
nor torchvision has weights with such a head. https://arxiv.org/abs/2402.07410
"""

from jclip.lookup import lookup
from jclip.models.zoo.table import Entry, find_entry

PREFIX = "panel:"

CLIP_83 = """
RN50.openai RN101.openai RN50x4.openai RN50x16.openai RN50x64.openai
ViT-B-32.openai ViT-B-16.openai ViT-L-14.openai ViT-L-14-336.openai
RN50-quickgelu.yfcc15m RN101-quickgelu.yfcc15m RN50-quickgelu.cc12m
ViT-B-32-quickgelu.laion400m_e32 ViT-B-16.laion400m_e32 ViT-B-16-plus-240.laion400m_e32
ViT-L-14.laion400m_e32 convnext_base.laion400m_s13b_b51k
ViT-B-32.laion2b_s34b_b79k ViT-B-16.laion2b_s34b_b88k ViT-L-14.laion2b_s32b_b82k
ViT-H-14.laion2b_s32b_b79k ViT-g-14.laion2b_s34b_b88k ViT-bigG-14.laion2b_s39b_b160k
convnext_base_w.laion2b_s13b_b82k convnext_base_w.laion2b_s13b_b82k_augreg
convnext_base_w.laion_aesthetic_s13b_b82k convnext_large_d.laion2b_s26b_b102k_augreg
convnext_xxlarge.laion2b_s34b_b82k_augreg
ViT-B-32.datacomp_xl_s13b_b90k ViT-B-16.datacomp_xl_s13b_b90k
ViT-L-14.datacomp_xl_s13b_b90k ViT-B-16.datacomp_l_s1b_b8k ViT-B-32.datacomp_m_s128m_b4k
ViT-B-32.datacomp_s_s13m_b4k ViT-B-16.commonpool_l_clip_s1b_b8k
ViT-B-16.commonpool_l_laion_s1b_b8k ViT-B-16.commonpool_l_image_s1b_b8k
ViT-B-16.commonpool_l_text_s1b_b8k ViT-B-16.commonpool_l_basic_s1b_b8k
ViT-B-16.commonpool_l_s1b_b8k ViT-L-14.commonpool_xl_clip_s13b_b90k
ViT-L-14.commonpool_xl_laion_s13b_b90k ViT-L-14.commonpool_xl_s13b_b90k
ViT-B-16-quickgelu.metaclip_400m ViT-B-16-quickgelu.metaclip_fullcc
ViT-L-14-quickgelu.metaclip_fullcc ViT-B-16.dfn2b ViT-L-14.dfn2b
ViT-B-16-SigLIP.webli ViT-L-16-SigLIP-256.webli ViT-SO400M-14-SigLIP.webli
vit_base_patch32_clip_224.openai_ft_in1k vit_base_patch16_clip_224.openai_ft_in1k
vit_base_patch16_clip_224.openai_ft_in12k_in1k
vit_base_patch32_clip_384.openai_ft_in12k_in1k vit_base_patch16_clip_384.openai_ft_in1k
vit_base_patch16_clip_384.openai_ft_in12k_in1k vit_large_patch14_clip_224.openai_ft_in1k
vit_large_patch14_clip_224.openai_ft_in12k_in1k
vit_large_patch14_clip_336.openai_ft_in12k_in1k
vit_base_patch32_clip_224.laion2b_ft_in1k vit_base_patch32_clip_224.laion2b_ft_in12k_in1k
vit_base_patch16_clip_224.laion2b_ft_in1k vit_base_patch16_clip_224.laion2b_ft_in12k_in1k
vit_base_patch32_clip_384.laion2b_ft_in12k_in1k
vit_base_patch32_clip_448.laion2b_ft_in12k_in1k vit_base_patch16_clip_384.laion2b_ft_in1k
vit_base_patch16_clip_384.laion2b_ft_in12k_in1k
vit_large_patch14_clip_224.laion2b_ft_in1k vit_large_patch14_clip_224.laion2b_ft_in12k_in1k
vit_large_patch14_clip_336.laion2b_ft_in1k vit_large_patch14_clip_336.laion2b_ft_in12k_in1k
vit_huge_patch14_clip_224.laion2b_ft_in1k vit_huge_patch14_clip_224.laion2b_ft_in12k_in1k
vit_huge_patch14_clip_336.laion2b_ft_in12k_in1k
convnext_base.clip_laion2b_augreg_ft_in1k convnext_base.clip_laion2b_augreg_ft_in12k_in1k
convnext_base.clip_laion2b_augreg_ft_in12k_in1k_384
convnext_base.clip_laiona_augreg_ft_in1k_384
convnext_large_mlp.clip_laion2b_augreg_ft_in1k
convnext_large_mlp.clip_laion2b_augreg_ft_in1k_384
convnext_large_mlp.clip_laion2b_soup_ft_in12k_in1k_320
convnext_large_mlp.clip_laion2b_soup_ft_in12k_in1k_384
"""

IMAGENET_127 = """
alexnet.IMAGENET1K_V1 squeezenet1_0.IMAGENET1K_V1 squeezenet1_1.IMAGENET1K_V1
googlenet.IMAGENET1K_V1 shufflenet_v2_x0_5.IMAGENET1K_V1
shufflenet_v2_x1_0.IMAGENET1K_V1 mnasnet0_5.IMAGENET1K_V1 mobilenet_v2.IMAGENET1K_V1
resnet18.tv_in1k resnet34.tv_in1k resnet50.tv_in1k resnet101.tv_in1k resnet152.tv_in1k
resnet18.a1_in1k resnet50.a1_in1k resnet50.a3_in1k resnet101.a1_in1k resnet152.a1_in1k
resnet50d.ra2_in1k resnext50_32x4d.tv_in1k resnext101_32x8d.tv_in1k
wide_resnet50_2.tv_in1k seresnet50.ra2_in1k ecaresnet50d.miil_in1k resnetrs50.tf_in1k
resnetrs101.tf_in1k legacy_senet154.in1k res2net50_26w_4s.in1k resnest50d.in1k
skresnet34.ra_in1k vgg11.tv_in1k vgg16.tv_in1k vgg19.tv_in1k vgg16_bn.tv_in1k
vgg19_bn.tv_in1k densenet121.tv_in1k densenet169.tv_in1k densenet161.tv_in1k
densenet201.tv_in1k inception_v3.tv_in1k inception_v4.tf_in1k legacy_xception.tf_in1k
xception41.tf_in1k dpn68.mx_in1k hrnet_w18.ms_in1k hrnet_w48.ms_in1k
mobilenetv3_small_100.lamb_in1k mobilenetv3_large_100.ra_in1k
mobilenetv4_conv_medium.e500_r256_in1k ghostnet_100.in1k efficientnet_b0.ra_in1k
tf_efficientnet_b0.aa_in1k tf_efficientnet_b4.aa_in1k tf_efficientnet_lite0.in1k
tf_efficientnetv2_s.in1k regnetx_032.pycls_in1k regnety_032.pycls_in1k
regnety_160.deit_in1k dm_nfnet_f0.dm_in1k convnext_tiny.fb_in1k convnext_small.fb_in1k
convnext_base.fb_in1k convnext_large.fb_in1k vit_small_patch16_224.augreg_in1k
vit_base_patch16_224.augreg_in1k deit_tiny_patch16_224.fb_in1k
deit_small_patch16_224.fb_in1k deit_base_patch16_224.fb_in1k
deit3_base_patch16_224.fb_in1k swin_tiny_patch4_window7_224.ms_in1k
swin_small_patch4_window7_224.ms_in1k swin_base_patch4_window7_224.ms_in1k
swinv2_tiny_window8_256.ms_in1k cait_s24_224.fb_dist_in1k xcit_small_12_p16_224.fb_in1k
pit_b_224.in1k twins_svt_base.in1k levit_256.fb_dist_in1k pvt_v2_b2.in1k
convit_base.fb_in1k coat_lite_small.in1k maxvit_tiny_tf_224.in1k
poolformer_s36.sail_in1k resmlp_24_224.fb_in1k resmlp_36_224.fb_in1k
gmlp_s16_224.ra3_in1k
vit_tiny_patch16_224.augreg_in21k_ft_in1k vit_small_patch16_224.augreg_in21k_ft_in1k
vit_base_patch32_224.augreg_in21k_ft_in1k vit_base_patch16_224.augreg_in21k_ft_in1k
vit_large_patch16_224.augreg_in21k_ft_in1k beit_base_patch16_224.in22k_ft_in22k_in1k
beit_large_patch16_224.in22k_ft_in22k_in1k deit3_small_patch16_224.fb_in22k_ft_in1k
deit3_base_patch16_224.fb_in22k_ft_in1k swin_tiny_patch4_window7_224.ms_in22k_ft_in1k
swin_base_patch4_window7_224.ms_in22k_ft_in1k
swin_large_patch4_window7_224.ms_in22k_ft_in1k
swinv2_base_window12to16_192to256.ms_in22k_ft_in1k convnext_tiny.fb_in22k_ft_in1k
convnext_small.fb_in22k_ft_in1k convnext_base.fb_in22k_ft_in1k
convnext_large.fb_in22k_ft_in1k mixer_b16_224.goog_in21k_ft_in1k
mixer_l16_224.goog_in21k_ft_in1k resmlp_big_24_224.fb_in22k_ft_in1k
resnetv2_50x1_bit.goog_in21k_ft_in1k resnetv2_101x1_bit.goog_in21k_ft_in1k
resnetv2_152x2_bit.goog_in21k_ft_in1k resnet50.fb_ssl_yfcc100m_ft_in1k
resnet50.fb_swsl_ig1b_ft_in1k resnext101_32x8d.fb_swsl_ig1b_ft_in1k
resnext101_32x8d.fb_wsl_ig1b_ft_in1k tf_efficientnet_b0.ns_jft_in1k
tf_efficientnet_b4.ns_jft_in1k tf_efficientnet_b7.ns_jft_in1k regnety_160.swag_ft_in1k
resnet50.am_in1k resnet50.ram_in1k resnetblur50.bt_in1k resnetaa50.a1h_in1k
densenetblur121d.ra_in1k tf_efficientnet_b0.ap_in1k tf_efficientnet_b4.ap_in1k
tf_efficientnet_b7.ap_in1k inception_resnet_v2.tf_ens_adv_in1k inception_v3.tf_adv_in1k
"""

PANELS = {"clip-83": CLIP_83, "imagenet-127": IMAGENET_127}


def panel(name: str) -> tuple[Entry, ...]:
    """The released weights of a panel, "clip-83" or "imagenet-127"."""
    return tuple(map(find_entry, lookup(PANELS, name, "panel").split()))
