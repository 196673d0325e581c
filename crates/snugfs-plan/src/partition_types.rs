//! Names of partition types. For GPT the names of the Discoverable Partitions Specification (UAPI group,
//! "Discoverable Partitions Specification", table of partition type UUIDs) as in systemd-repart; for MBR
//! the numbers with a few names.

use image_tree::Uuid;

/// A name and its type GUID.
type Named = (&'static str, u128);

/// GPT type names. `linux` is another name of `linux-generic`, and `root-` and `usr-` may be preceded by `linux-`.
#[rustfmt::skip]
pub(crate) const GPT: &[Named] = &[
    ("esp", 0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b),
    ("bios-boot", 0x21686148_6449_6e6f_744e_656564454649),
    ("microsoft-basic-data", 0xebd0a0a2_b9e5_4433_87c0_68b6b72699c7),
    ("linux-generic", 0x0fc63daf_8483_4772_8e79_3d69d8477de4),
    ("xbootldr", 0xbc13c2ff_59e6_4262_a352_b275fd6f7172),
    ("swap", 0x0657fd6d_a4ab_43c4_84e5_0933c84b4f4f),
    ("home", 0x933ac7e1_2eb4_4f13_b844_0e14e2aef915),
    ("srv", 0x3b8f8425_20e0_4f3b_907f_1a25a76f98e8),
    ("var", 0x4d21b016_b534_45c2_a9fb_5c16e091fd2d),
    ("tmp", 0x7ec6f557_3bc5_4aca_b293_16ef5df639d1),
    ("user-home", 0x773f91ef_66d4_49b5_bd83_d683bf40ad16),
    ("linux-raid", 0xa19d880f_05fc_4d3b_a006_743f0f84911e),
    ("linux-lvm", 0xe6d6d379_f507_44c2_a23c_238f2a3df928),
    ("root-x86", 0x44479540_f297_41b2_9af7_d131d5f0458a),
    ("root-x86-64", 0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709),
    ("root-alpha", 0x6523f8ae_3eb1_4e2a_a05a_18b695ae656f),
    ("root-arc", 0xd27f46ed_2919_4cb8_bd25_9531f3c16534),
    ("root-arm", 0x69dad710_2ce4_4e3c_b16c_21a1d49abed3),
    ("root-arm64", 0xb921b045_1df0_41c3_af44_4c6f280d3fae),
    ("root-ia64", 0x993d8d3d_f80e_4225_855a_9daf8ed7ea97),
    ("root-loongarch64", 0x77055800_792c_4f94_b39a_98c91b762bb6),
    ("root-mips-le", 0x37c58c8a_d913_4156_a25f_48b1b64e07f0),
    ("root-mips64-le", 0x700bda43_7a34_4507_b179_eeb93d7a7ca3),
    ("root-ppc", 0x1de3f1ef_fa98_47b5_8dcd_4a860a654d78),
    ("root-ppc64", 0x912ade1d_a839_4913_8964_a10eee08fbd2),
    ("root-ppc64-le", 0xc31c45e6_3f39_412e_80fb_4809c4980599),
    ("root-riscv32", 0x60d5a7fe_8e7d_435c_b714_3dd8162144e1),
    ("root-riscv64", 0x72ec70a6_cf74_40e6_bd49_4bda08e8f224),
    ("root-s390", 0x08a7acea_624c_4a20_91e8_6e0fa67d23f9),
    ("root-s390x", 0x5eead9a9_fe09_4a1e_a1d7_520d00531306),
    ("root-tilegx", 0xc50cdd70_3862_4cc3_90e1_809a8c93ee2c),
    ("usr-x86", 0x75250d76_8cc6_458e_bd66_bd47cc81a812),
    ("usr-x86-64", 0x8484680c_9521_48c6_9c11_b0720656f69e),
    ("usr-alpha", 0xe18cf08c_33ec_4c0d_8246_c6c6fb3da024),
    ("usr-arc", 0x7978a683_6316_4922_bbee_38bff5a2fecc),
    ("usr-arm", 0x7d0359a3_02b3_4f0a_865c_654403e70625),
    ("usr-arm64", 0xb0e01050_ee5f_4390_949a_9101b17104e9),
    ("usr-ia64", 0x4301d2a6_4e3b_4b2a_bb94_9e0b2c4225ea),
    ("usr-loongarch64", 0xe611c702_575c_4cbe_9a46_434fa0bf7e3f),
    ("usr-mips-le", 0x0f4868e9_9952_4706_979f_3ed3a473e947),
    ("usr-mips64-le", 0xc97c1f32_ba06_40b4_9f22_236061b08aa8),
    ("usr-ppc", 0x7d14fec5_cc71_415d_9d6c_06bf0b3c3eaf),
    ("usr-ppc64", 0x2c9739e2_f068_46b3_9fd0_01c5a9afbcca),
    ("usr-ppc64-le", 0x15bb03af_77e7_4d4a_b12b_c0d084f7491c),
    ("usr-riscv32", 0xb933fb22_5c3f_4f91_af90_e2bb0fa50702),
    ("usr-riscv64", 0xbeaec34b_8442_439b_a40b_984381ed097d),
    ("usr-s390", 0xcd0f869b_d0fb_4ca0_b141_9ea87cc78d66),
    ("usr-s390x", 0x8a4f5770_50aa_4ed3_874a_99b710db6fea),
    ("usr-tilegx", 0x55497029_c7c1_44cc_aa39_815ed1558630),
    ("root-x86-verity", 0xd13c5d3b_b5d1_422a_b29f_9454fdc89d76),
    ("root-x86-64-verity", 0x2c7357ed_ebd2_46d9_aec1_23d437ec2bf5),
    ("root-alpha-verity", 0xfc56d9e9_e6e5_4c06_be32_e74407ce09a5),
    ("root-arc-verity", 0x24b2d975_0f97_4521_afa1_cd531e421b8d),
    ("root-arm-verity", 0x7386cdf2_203c_47a9_a498_f2ecce45a2d6),
    ("root-arm64-verity", 0xdf3300ce_d69f_4c92_978c_9bfb0f38d820),
    ("root-ia64-verity", 0x86ed10d5_b607_45bb_8957_d350f23d0571),
    ("root-loongarch64-verity", 0xf3393b22_e9af_4613_a948_9d3bfbd0c535),
    ("root-mips-le-verity", 0xd7d150d2_2a04_4a33_8f12_16651205ff7b),
    ("root-mips64-le-verity", 0x16b417f8_3e06_4f57_8dd2_9b5232f41aa6),
    ("root-ppc-verity", 0x98cfe649_1588_46dc_b2f0_add147424925),
    ("root-ppc64-verity", 0x9225a9a3_3c19_4d89_b4f6_eeff88f17631),
    ("root-ppc64-le-verity", 0x906bd944_4589_4aae_a4e4_dd983917446a),
    ("root-riscv32-verity", 0xae0253be_1167_4007_ac68_43926c14c5de),
    ("root-riscv64-verity", 0xb6ed5582_440b_4209_b8da_5ff7c419ea3d),
    ("root-s390-verity", 0x7ac63b47_b25c_463b_8df8_b4a94e6c90e1),
    ("root-s390x-verity", 0xb325bfbe_c7be_4ab8_8357_139e652d2f6b),
    ("root-tilegx-verity", 0x966061ec_28e4_4b2e_b4a5_1f0a825a1d84),
    ("usr-x86-verity", 0x8f461b0d_14ee_4e81_9aa9_049b6fb97abd),
    ("usr-x86-64-verity", 0x77ff5f63_e7b6_4633_acf4_1565b864c0e6),
    ("usr-alpha-verity", 0x8cce0d25_c0d0_4a44_bd87_46331bf1df67),
    ("usr-arc-verity", 0xfca0598c_d880_4591_8c16_4eda05c7347c),
    ("usr-arm-verity", 0xc215d751_7bcd_4649_be90_6627490a4c05),
    ("usr-arm64-verity", 0x6e11a4e7_fbca_4ded_b9e9_e1a512bb664e),
    ("usr-ia64-verity", 0x6a491e03_3be7_4545_8e38_83320e0ea880),
    ("usr-loongarch64-verity", 0xf46b2c26_59ae_48f0_9106_c50ed47f673d),
    ("usr-mips-le-verity", 0x46b98d8d_b55c_4e8f_aab3_37fca7f80752),
    ("usr-mips64-le-verity", 0x3c3d61fe_b5f3_414d_bb71_8739a694a4ef),
    ("usr-ppc-verity", 0xdf765d00_270e_49e5_bc75_f47bb2118b09),
    ("usr-ppc64-verity", 0xbdb528a5_a259_475f_a87d_da53fa736a07),
    ("usr-ppc64-le-verity", 0xee2b9983_21e8_4153_86d9_b6901a54d1ce),
    ("usr-riscv32-verity", 0xcb1ee4e3_8cd0_4136_a0a4_aa61a32e8730),
    ("usr-riscv64-verity", 0x8f1056be_9b05_47c4_81d6_be53128e5b54),
    ("usr-s390-verity", 0xb663c618_e7bc_4d6d_90aa_11b756bb1797),
    ("usr-s390x-verity", 0x31741cc4_1a2a_4111_a581_e00b447d2d06),
    ("usr-tilegx-verity", 0x2fb4bf56_07fa_42da_8132_6b139f2026ae),
    ("root-x86-verity-sig", 0x5996fc05_109c_48de_808b_23fa0830b676),
    ("root-x86-64-verity-sig", 0x41092b05_9fc8_4523_994f_2def0408b176),
    ("root-alpha-verity-sig", 0xd46495b7_a053_414f_80f7_700c99921ef8),
    ("root-arc-verity-sig", 0x143a70ba_cbd3_4f06_919f_6c05683a78bc),
    ("root-arm-verity-sig", 0x42b0455f_eb11_491d_98d3_56145ba9d037),
    ("root-arm64-verity-sig", 0x6db69de6_29f4_4758_a7a5_962190f00ce3),
    ("root-ia64-verity-sig", 0xe98b36ee_32ba_4882_9b12_0ce14655f46a),
    ("root-loongarch64-verity-sig", 0x5afb67eb_ecc8_4f85_ae8e_ac1e7c50e7d0),
    ("root-mips-le-verity-sig", 0xc919cc1f_4456_4eff_918c_f75e94525ca5),
    ("root-mips64-le-verity-sig", 0x904e58ef_5c65_4a31_9c57_6af5fc7c5de7),
    ("root-ppc-verity-sig", 0x1b31b5aa_add9_463a_b2ed_bd467fc857e7),
    ("root-ppc64-verity-sig", 0xf5e2c20c_45b2_4ffa_bce9_2a60737e1aaf),
    ("root-ppc64-le-verity-sig", 0xd4a236e7_e873_4c07_bf1d_bf6cf7f1c3c6),
    ("root-riscv32-verity-sig", 0x3a112a75_8729_4380_b4cf_764d79934448),
    ("root-riscv64-verity-sig", 0xefe0f087_ea8d_4469_821a_4c2a96a8386a),
    ("root-s390-verity-sig", 0x3482388e_4254_435a_a241_766a065f9960),
    ("root-s390x-verity-sig", 0xc80187a5_73a3_491a_901a_017c3fa953e9),
    ("root-tilegx-verity-sig", 0xb3671439_97b0_4a53_90f7_2d5a8f3ad47b),
    ("usr-x86-verity-sig", 0x974a71c0_de41_43c3_be5d_5c5ccd1ad2c0),
    ("usr-x86-64-verity-sig", 0xe7bb33fb_06cf_4e81_8273_e543b413e2e2),
    ("usr-alpha-verity-sig", 0x5c6e1c76_076a_457a_a0fe_f3b4cd21ce6e),
    ("usr-arc-verity-sig", 0x94f9a9a1_9971_427a_a400_50cb297f0f35),
    ("usr-arm-verity-sig", 0xd7ff812f_37d1_4902_a810_d76ba57b975a),
    ("usr-arm64-verity-sig", 0xc23ce4ff_44bd_4b00_b2d4_b41b3419e02a),
    ("usr-ia64-verity-sig", 0x8de58bc2_2a43_460d_b14e_a76e4a17b47f),
    ("usr-loongarch64-verity-sig", 0xb024f315_d330_444c_8461_44bbde524e99),
    ("usr-mips-le-verity-sig", 0x3e23ca0b_a4bc_4b4e_8087_5ab6a26aa8a9),
    ("usr-mips64-le-verity-sig", 0xf2c2c7ee_adcc_4351_b5c6_ee9816b66e16),
    ("usr-ppc-verity-sig", 0x7007891d_d371_4a80_86a4_5cb875b9302e),
    ("usr-ppc64-verity-sig", 0x0b888863_d7f8_4d9e_9766_239fce4d58af),
    ("usr-ppc64-le-verity-sig", 0xc8bfbd1e_268e_4521_8bba_bf314c399557),
    ("usr-riscv32-verity-sig", 0xc3836a13_3137_45ba_b583_b16c50fe5eb4),
    ("usr-riscv64-verity-sig", 0xd2f9000a_7a18_453f_b5cd_4d32f77a7b32),
    ("usr-s390-verity-sig", 0x17440e4f_a8d0_467f_a46e_3912ae6ef2c5),
    ("usr-s390x-verity-sig", 0x3f324816_667b_46ae_86ee_9b0c0c6c11b4),
    ("usr-tilegx-verity-sig", 0x4ede75e2_6ccc_4cc8_b9c7_70334b087510),
];

/// MBR type names.
pub(crate) const MBR: &[(&str, u8)] = &[
    ("fat16", 0x0e),
    ("fat32", 0x0c),
    ("linux", 0x83),
    ("swap", 0x82),
    ("linux-lvm", 0x8e),
    ("linux-raid", 0xfd),
    ("esp", 0xef),
];

/// Types of extended partitions, which contain further partitions.
pub(crate) const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// The type of a protective MBR; Linux ignores the other entries of an MBR with it.
pub(crate) const PROTECTIVE: u8 = 0xee;

/// The type GUID of a text, bytes in the order of the text form.
pub(crate) fn gpt(text: &str) -> Option<[u8; 16]> {
    let plain = match text.strip_prefix("linux-") {
        Some(rest) if rest.starts_with("root-") || rest.starts_with("usr-") => rest,
        _ if text == "linux" => "linux-generic",
        _ => text,
    };
    let named = GPT.iter().find_map(|&(name, guid)| (name == plain).then(|| guid.to_be_bytes()));
    named.or_else(|| Uuid::parse(text).map(|uuid| uuid.0))
}

/// The type number of a text: one or two hexadecimal digits, optionally after `0x`, or a name.
pub(crate) fn mbr(text: &str) -> Option<u8> {
    let named = MBR.iter().find_map(|&(name, number)| (name == text).then_some(number));
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_number = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    named.or_else(|| is_number.then(|| u8::from_str_radix(digits, 16).ok()).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names_and_numbers() {
        for (text, number) in [
            ("0b", Some(0x0b)),
            ("83", Some(0x83)),
            ("0x83", Some(0x83)),
            ("linux", Some(0x83)),
            ("c", Some(0x0c)),
            ("", None),
            ("0x", None),
            ("083", None),
            ("g0", None),
            ("+3", None),
        ] {
            assert_eq!(mbr(text), number, "{text}");
        }
        let arm64 = 0xb921_b045_1df0_41c3_af44_4c6f_280d_3fae_u128.to_be_bytes();
        for text in ["root-arm64", "linux-root-arm64", "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"] {
            assert_eq!(gpt(text), Some(arm64), "{text}");
        }
        assert_eq!(gpt("linux"), gpt("linux-generic"));
        assert_eq!((gpt("linux-esp"), gpt("root-armv9"), gpt("")), (None, None, None));
    }

    #[test]
    fn no_name_and_no_type_is_there_twice() {
        let mut names: Vec<_> = GPT.iter().map(|(name, _)| name).collect();
        let mut types: Vec<_> = GPT.iter().map(|(_, guid)| guid).collect();
        names.sort_unstable();
        types.sort_unstable();
        assert!(names.windows(2).all(|two| two[0] != two[1]) && types.windows(2).all(|two| two[0] != two[1]));
    }
}
