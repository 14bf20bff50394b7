/// Fixed keys and tokens that another library (pyca/cryptography) created. Confab must accept its
/// signatures.
///
/// The private keys were not kept, except for one that must be rejected. Nothing depends on their
/// secrecy.
enum Vectors {
    static let rsaPEM = """
        -----BEGIN PUBLIC KEY-----
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyl17fo7AjYHX+Vu5QpkP
        KHYuXr0+HXvXpgiMn+95a+qVR7uH92XIXY0xfQbbp3rDPNqxdxTXzyXFBP1PYOlr
        OeO11c4bkajV5VWNXEP+NOkHm4TQ8C5Z5SzxYgNSqnIB59CqrvWzaCVnyMILi0qL
        fQPxHXWN+bDDTRXmICHtYBoJasoWl4CmECWjX2DT8bGcBTY4gAoyTjm5Zdi0S80G
        pKFeNPFRqrZcUbAF1pFw2vDWs+8NfkhQdPwHU4jH/ztOwNcEwZT7scJw3lTMHAlD
        265PvFr4CWVilAGbMI+ZR69yqdlzT7cEXkNZ+lC/9rs8g3/IlvFKPxljwotNYRF/
        NQIDAQAB
        -----END PUBLIC KEY-----
        """

    static let rsaPKCS1PEM = """
        -----BEGIN RSA PUBLIC KEY-----
        MIIBCgKCAQEAyl17fo7AjYHX+Vu5QpkPKHYuXr0+HXvXpgiMn+95a+qVR7uH92XI
        XY0xfQbbp3rDPNqxdxTXzyXFBP1PYOlrOeO11c4bkajV5VWNXEP+NOkHm4TQ8C5Z
        5SzxYgNSqnIB59CqrvWzaCVnyMILi0qLfQPxHXWN+bDDTRXmICHtYBoJasoWl4Cm
        ECWjX2DT8bGcBTY4gAoyTjm5Zdi0S80GpKFeNPFRqrZcUbAF1pFw2vDWs+8NfkhQ
        dPwHU4jH/ztOwNcEwZT7scJw3lTMHAlD265PvFr4CWVilAGbMI+ZR69yqdlzT7cE
        XkNZ+lC/9rs8g3/IlvFKPxljwotNYRF/NQIDAQAB
        -----END RSA PUBLIC KEY-----
        """

    static let p256PEM = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8MG9tsNz5bI8kpi0GqBZ6TFfaY1A
        G3rs94V2UjS7Z3OTXz1CoXPLNUCzn4D2hPzQrDsgIXIqIqwBFgkJ01/cKA==
        -----END PUBLIC KEY-----
        """

    static let p256CertificatePEM = """
        -----BEGIN CERTIFICATE-----
        MIIBEDCBt6ADAgECAgEBMAoGCCqGSM49BAMCMBExDzANBgNVBAMMBnRva2VuczAg
        Fw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowETEPMA0GA1UEAwwGdG9r
        ZW5zMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8MG9tsNz5bI8kpi0GqBZ6TFf
        aY1AG3rs94V2UjS7Z3OTXz1CoXPLNUCzn4D2hPzQrDsgIXIqIqwBFgkJ01/cKDAK
        BggqhkjOPQQDAgNIADBFAiEAwe6Fgl/kAAa9wTG9lrEM5ui80YdorFvZblKsWz4k
        NTYCIF6FVKrlzcwrQ7OpE2HY0UpaggkZXvLJpJ2PfM6/rAoQ
        -----END CERTIFICATE-----
        """

    static let p256PrivatePEM = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqoEI64eAgbba0RR3
        1ZFDPyw/xAL3bQiJNlicRCrhHFqhRANCAATwwb22w3PlsjySmLQaoFnpMV9pjUAb
        euz3hXZSNLtnc5NfPUKhc8s1QLOfgPaE/NCsOyAhcioirAEWCQnTX9wo
        -----END PRIVATE KEY-----
        """

    static let ed25519PEM = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEAZElKSHXzvi6sZj7ZR9VCBq2Fdzd8TEMrRsY0pQsiIIw=
        -----END PUBLIC KEY-----
        """

    static let rsa1024PEM = """
        -----BEGIN PUBLIC KEY-----
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDZK4DLUrbLCkAbN/dIITWcWnx9
        /lsbsSBH/Hbb/aY1eo8SZC3amNtvhY9enfaFC4GThVYwYIbeN6DtrtB3/QTjgjQQ
        KW8TvKWGy24Xr5nVaTaSfuU/MXpIkN4V/9HpU3K649tMBJsRr66RjPHhX+4SwuJb
        ixsfdd5D3TEteq5HGwIDAQAB
        -----END PUBLIC KEY-----
        """

    static let p384PEM = """
        -----BEGIN PUBLIC KEY-----
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEzlvuEzBTaHt5nTEHvotPn6+M+JtNeYua
        Bxt82pEaxQa0dUTtcEoRRiTV48aLZxkP5WI50Kl3Q94JBO9f+Kv/DBzltRFWkZdv
        G9GLB0h5K+bK2qBMrRpDC542ss2ApOyI
        -----END PUBLIC KEY-----
        """

    static let secp256k1PEM = """
        -----BEGIN PUBLIC KEY-----
        MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE9slOK/98Scz1YkJrZ48knQ5uUhsVZi2w
        uVDBTEJ6dLXNHXLQ7eZJWBkYqSNQrw+SPm1BV3ivAazCoEASEf4mJA==
        -----END PUBLIC KEY-----
        """

    static let ed448PEM = """
        -----BEGIN PUBLIC KEY-----
        MEMwBQYDK2VxAzoA0N2YndlhPH59Id1gt4LEM2pmCPwpGa7mMk6EHi84XGgj6Kpl
        3Z7g72dBegLN5XEIKw3RDeFE4r0A
        -----END PUBLIC KEY-----
        """

    static let rs256Token = """
        eyJhbGciOiAiUlMyNTYiLCAidHlwIjogIkpXVCJ9.eyJzdWIiOiAiYWxpY2UiLCAiZXhwIjogNDEwMjQ0NDgwMH0.nY\
        XDN64NrPa9CbbGA33EJbMyUSbC7j_n3S2O3-wgLHdXXJVKRlKIqyHAmDWEAOZXKJql3bgxHuDjaV5tNlYt_tRKeDMfU\
        3sYmaN3WYicftXQW2cEv3oVNTIwt_gxFQTk1uiFiXmnZbkB0r6lbc1WBtmplMFMTE6996TOFsX861DxxUaxXVhrD4r7\
        Y0-PpxhIkZTDyAvYrrkX05xRI8zX7Z27nO_MVZXWXwWUojtDCk6Zdw5qtlUWdHuwgpoECSa1OXHcA-9jJGuIjs2__CI\
        sXgkKAr99UDI04DuhnrcuuFfGbyQHz61424aiYtTcxpUFvgKck4wa3j_FEbF-hqTgyA
        """

    static let es256Token = """
        eyJhbGciOiAiRVMyNTYiLCAidHlwIjogIkpXVCJ9.eyJzdWIiOiAiYWxpY2UiLCAiZXhwIjogNDEwMjQ0NDgwMH0.5Z\
        gIgr0OVwjWpBOSl6WLQVuR81ZnzX4rjhr_o5fWPyJLYWB4U0bSzEx0BfG8M10QpfR-9I8N0twDMRpRvsHiFQ
        """

    static let edDSAToken = """
        eyJhbGciOiAiRWREU0EiLCAidHlwIjogIkpXVCJ9.eyJzdWIiOiAiYWxpY2UiLCAiZXhwIjogNDEwMjQ0NDgwMH0.G_\
        cXANpJWJ5bY-2GK2OOw182zHjxM8Y1wr9G8oxYdCpfb1Xg3dqSs-45LOSEwxHQQ-MQSwRA7mTdxUo5weU0Dg
        """

    /// Its `alg` is `Ed25519` (RFC 9864), and its key is in `KeyTests`.
    static let ed25519Token = """
        eyJhbGciOiJFZDI1NTE5Iiwia2lkIjoibzIifQ.eyJzdWIiOiJhbGljZSJ9.Bg61SPjJNCDC1ubfMzt5FxuKRkD1Xp\
        1IE_IQgls_g_oPXNJdmwTSSGnxjJmnm6U_GVe5RAnUMiMZY0zzQKPtDg
        """

    static let es256TokenWithDERSignature = """
        eyJhbGciOiAiRVMyNTYifQ.eyJzdWIiOiJhbGljZSJ9.MEUCIQD9uBCp7NE_bHDAGDX0nABcnYguDO--iuXGDk0a1Uu\
        twwIgKlL0aeW_lhmDfXEKUK1KJJljPCCTGzKDQKXLfWBTGu8
        """

    static let rs256TokenWithPSSSignature = """
        eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.BIb8dzNeQe84HVT_nnQ4KYUzurNQ3SAxpFhj_q65_oIirWQJ-\
        mjFPpDpq241hk39Pts7WuXySvuZPv7H7Qrasn_kpk27m1vFv7EeiM_7sVoP0_tDGacez3mreEIt15dFQQRXjiMciYgw\
        kDYCTsyi5GPD2c2qpkWJ3r9-rbttGlOHviUpHwd8W365rL0w9Py17KkLJtRLXcCooiNjmUOD_AVQi3O1uixXf74jR2W\
        2uEZJP8XH9B8qD8kuKprDegMgcwzNFpBUZZreKRRe2KUUVqbJdAWZSVOVyodQOhbQqWJU2nbs3pGA2VG_gYULrXFSXi\
        DWpEgFrsZF7myiDsfswg
        """

    // JSON Web Keys of the first three keys, without "kid", "alg" and "use".
    static let rsaNumbers = #"""
        "kty":"RSA","n":"yl17fo7AjYHX-Vu5QpkPKHYuXr0-HXvXpgiMn-95a-qVR7uH92XIXY0xfQbbp3rDPNqxdxTXz\#
        yXFBP1PYOlrOeO11c4bkajV5VWNXEP-NOkHm4TQ8C5Z5SzxYgNSqnIB59CqrvWzaCVnyMILi0qLfQPxHXWN-bDDTRX\#
        mICHtYBoJasoWl4CmECWjX2DT8bGcBTY4gAoyTjm5Zdi0S80GpKFeNPFRqrZcUbAF1pFw2vDWs-8NfkhQdPwHU4jH_\#
        ztOwNcEwZT7scJw3lTMHAlD265PvFr4CWVilAGbMI-ZR69yqdlzT7cEXkNZ-lC_9rs8g3_IlvFKPxljwotNYRF_NQ"\#
        ,"e":"AQAB"
        """#

    static let p256Numbers = #"""
        "kty":"EC","crv":"P-256","x":"8MG9tsNz5bI8kpi0GqBZ6TFfaY1AG3rs94V2UjS7Z3M","y":"k189QqFzyz\#
        VAs5-A9oT80Kw7ICFyKiKsARYJCdNf3Cg"
        """#

    static let ed25519Numbers = #"""
        "kty":"OKP","crv":"Ed25519","x":"ZElKSHXzvi6sZj7ZR9VCBq2Fdzd8TEMrRsY0pQsiIIw"
        """#

    static let rsa1024Numbers = #"""
        "kty":"RSA","n":"2SuAy1K2ywpAGzf3SCE1nFp8ff5bG7EgR_x22_2mNXqPEmQt2pjbb4WPXp32hQuBk4VWMGCG3\#
        jeg7a7Qd_0E44I0EClvE7ylhstuF6-Z1Wk2kn7lPzF6SJDeFf_R6VNyuuPbTASbEa-ukYzx4V_uEsLiW4sbH3XeQ90\#
        xLXquRxs","e":"AQAB"
        """#
}
